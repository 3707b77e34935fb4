public import HoldfastCore
public import HoldfastLinux

extension Arena {
  /// Creates an arena on a lease, whose memory is ready. For 10 GiB of huge pages that takes about
  /// a millisecond, as nothing is populated or zeroed.
  ///
  /// The arena takes over the lease's open file, and its lock; the lease then has no descriptor, so
  /// it cannot be adopted twice. The lease ends when the arena and all guests on it are gone, on
  /// the thread that releases the last of them; scrubbing takes that thread about 20 ms for each
  /// GiB. If the process is killed, ``Reservoir/collect(_:cancellation:progress:)`` collects a held
  /// lease.
  ///
  /// No other process can truncate the file under the arena, which would end this process with
  /// SIGBUS. The file cannot be sealed, so this depends on who may open it for writing. It lies in
  /// a folder that only its user and root may enter. The leases of the owner and root have
  /// permissions for that user alone, and were proven to be open in no other process. Those of
  /// other members were not, so these callers must state that they trust the other members. The
  /// reservoir's own commands never truncate a leased file and never unlink a held one (which would
  /// do no harm). That leaves other programs of the same user and of root.
  ///
  /// - Parameters:
  ///   - lease: the lease.
  ///   - end: what happens to the lease; nil to recycle it where this user may, and else to release
  ///     it.
  ///   - trustsMembers: whether to accept a lease that is not exclusive.
  ///   - host: the host's capabilities.
  ///   - threads: the number of threads that zero memory; nil for one for each processor.
  ///   - ended: receives the end of the lease, after the arena is gone.
  /// - Throws: ``HoldfastError`` with the code `busy` where an arena has adopted the lease,
  ///   `untrusted` where the lease is not exclusive, `resourceShortage` or `host`. The lease is
  ///   then unchanged.
  public convenience init(
    adopting lease: Lease, atEnd end: AdoptionEnd? = nil, trustsMembers: Bool = false,
    host: HostCapabilities = HostProbe().host(), threads: Int? = nil,
    ended: (@Sendable (Result<LeaseEnd, HoldfastError>) -> Void)? = nil
  ) throws(HoldfastError) {
    let receipt = lease.receipt
    let reservoir = lease.reservoir
    let operation = "adopt the lease '\(receipt.name)'"
    let name = try LeaseName(receipt.name)
    guard receipt.isExclusive || trustsMembers else {
      throw HoldfastError(
        .untrusted, operation: operation,
        reason: "another member of the group may have its file open and could truncate it",
        advice: .other("a lease of the reservoir's owner, or trustsMembers"))
    }
    guard let file = lease.takeFile() else {
      throw HoldfastError(
        .busy, operation: operation, reason: "another arena has adopted it",
        advice: .other("another lease"))
    }
    let end = end ?? (reservoir.isOwner ? .recycle(RecycleOptions(threads: threads)) : .release)
    do throws(HoldfastError) {
      try self.init(
        adoptingZeroed: file, node: receipt.node, host: host, threads: threads
      ) {
        let result: Result<LeaseEnd, HoldfastError>
        do throws(HoldfastError) {
          result = .success(try reservoir.finish(name, end))
        } catch {
          result = .failure(error)
        }
        ended?(result)
      }
    } catch {
      lease.putBack(file)
      throw error
    }
  }
}

extension Reservoir {
  /// Ends the lease of an arena that is gone.
  fileprivate func finish(
    _ name: LeaseName, _ end: AdoptionEnd
  ) throws(HoldfastError) -> LeaseEnd {
    switch end {
    case .release: try release(name)
    case .recycle(let options): try recycle(name, otherwise: .release, options: options)
    }
  }
}
