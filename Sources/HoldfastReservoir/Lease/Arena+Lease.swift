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
  /// If a process truncates the file under the arena, this process ends with SIGBUS. The file cannot
  /// be sealed, so this depends on who may open it for writing: the user of this process, the
  /// reservoir's owner and root. The lease was proven to be open in no other process. The
  /// reservoir's own commands never truncate a leased file and never unlink a held one (which would
  /// do no harm). That leaves other programs of the same user, of the owner and of root.
  ///
  /// - Parameters:
  ///   - lease: the lease.
  ///   - end: what happens to the lease; nil to recycle it where this user may, and else to release
  ///     it.
  ///   - host: the host's capabilities.
  ///   - threads: the number of threads that zero memory; nil for one for each processor.
  ///   - ended: receives the end of the lease, after the arena is gone.
  /// - Throws: ``HoldfastError`` with the code `busy` where an arena has adopted the lease,
  ///   `untrusted` where the lease is not exclusive, `resourceShortage` or `host`. The lease is
  ///   then unchanged.
  public convenience init(
    adopting lease: Lease, atEnd end: AdoptionEnd? = nil,
    host: HostCapabilities = HostProbe().host(), threads: Int? = nil,
    ended: (@Sendable (Result<LeaseEnd, HoldfastError>) -> Void)? = nil
  ) throws(HoldfastError) {
    let receipt = lease.receipt
    let origin = lease.origin
    let operation = "adopt the lease '\(receipt.name)'"
    let name = try LeaseName(receipt.name)
    guard receipt.isExclusive else {
      throw HoldfastError(
        .untrusted, operation: operation,
        reason: "another process may have its file open and could truncate it",
        advice: .other("another lease"))
    }
    guard let file = lease.takeFile() else {
      throw HoldfastError(
        .busy, operation: operation, reason: "another arena has adopted it",
        advice: .other("another lease"))
    }
    var end = end ?? .recycle(RecycleOptions(threads: threads))
    if case .recycle(var options) = end {
      options.size = options.size ?? receipt.size
      end = .recycle(options)
    }
    let ending = end
    do throws(HoldfastError) {
      try self.init(
        adoptingZeroed: file, node: receipt.node, host: host, threads: threads
      ) {
        let result: Result<LeaseEnd, HoldfastError>
        do throws(HoldfastError) {
          result = .success(try origin.finish(name, ending))
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

extension Lease.Origin {
  /// Ends the lease of an arena that is gone.
  fileprivate func finish(
    _ name: LeaseName, _ end: AdoptionEnd
  ) throws(HoldfastError) -> LeaseEnd {
    switch (self, end) {
    case (.client(let client), _): try client.release(name)
    case (.reservoir(let reservoir), .release): try reservoir.release(name)
    case (.reservoir(let reservoir), .recycle(let options)):
      try reservoir.recycle(name, otherwise: .release, options: options)
    }
  }
}
