public import HoldfastCore
public import HoldfastLinux

/// What becomes of a lease when the arena that has adopted it is gone.
public enum AdoptionEnd: Hashable, Sendable {
  /// It is scrubbed and ready again; for the owner and root. It is released where that cannot be.
  case recycle(RecycleOptions)
  /// Its memory is the host's again.
  case release
}

extension Arena {
  /// Adopts a lease: an arena whose memory was ready before. It takes a millisecond or so for 10 GiB of huge
  /// pages, as nothing is brought in or zeroed.
  ///
  /// The arena has the lease's file from here on, and its lock; the lease has no descriptor any more, so that
  /// it cannot be adopted twice. When the arena and all guests on it are gone the lease ends: on the thread
  /// that lets the last of them go, which scrubbing keeps busy for some 20 ms for each GiB. When the process
  /// is killed a held lease is `gc`'s.
  ///
  /// Why nobody can cut the file under the arena, which would end this process by SIGBUS: the file cannot be
  /// sealed, so what counts is who may open it for writing. It lies in a folder that only its user and root
  /// may enter. The owner's and root's leases have permissions for them alone, and were proven to be open
  /// nowhere else (`isExclusive`). Other members' leases have not, so they have to say that they trust the
  /// other members. The reservoir's commands never cut a leased file, and never take the name of a held one
  /// away; taking it away would do no harm. What is left is other programs of the same user and root.
  ///
  /// - Parameters:
  ///   - end: what becomes of the lease; nil to recycle it, or to release it where this user may not.
  ///   - trustsMembers: whether a lease will do that is not exclusive.
  ///   - ended: told what has become of the lease, after the arena.
  /// - Throws: ``HoldfastError``: `inUse` where the lease was adopted before, `untrusted` where it is not
  ///   exclusive, `system` or `shortage` where it cannot be adopted. The lease is as it was then.
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
        reason: "another member of the group may have its file open, and could cut it",
        advice: .other("a lease by the reservoir's owner, or trustsMembers"))
    }
    guard let file = lease.takeFile() else {
      throw HoldfastError(
        .busy, operation: operation, reason: "an arena has it already",
        advice: .other("another lease"))
    }
    let end = end ?? (reservoir.isOwner ? .recycle(RecycleOptions(threads: threads)) : .release)
    do throws(HoldfastError) {
      try self.init(
        adoptingZeroed: file, node: receipt.node, host: host, threads: threads
      ) {
        let result: Result<LeaseEnd, HoldfastError>
        do throws(HoldfastError) {
          result = .success(try reservoir.end(name, end))
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
  fileprivate func end(
    _ name: LeaseName, _ end: AdoptionEnd
  ) throws(HoldfastError) -> LeaseEnd {
    switch end {
    case .release: try release(name)
    case .recycle(let options): try recycle(name, otherwise: .unlink, options: options)
    }
  }
}
