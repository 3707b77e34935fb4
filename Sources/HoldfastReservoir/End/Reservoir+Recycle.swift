internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// What to do with a lease that cannot be recycled.
  public enum Fallback: Hashable, Sendable {
    /// Leave the lease unchanged and throw.
    case refuse
    /// Release the lease.
    case release
  }

  /// Ends a lease, once the kernel has proven that no other process has its memory open or mapped,
  /// and makes as much memory ready again, as the options say (``Reuse``). Needs the reservoir's
  /// owner or root.
  ///
  /// - Parameters:
  ///   - name: the lease's name.
  ///   - user: the ID of the user who has the lease; nil for the calling user. Memory that
  ///     another user than the owner and root leased is released, whatever the options say.
  ///   - fallback: what to do with a lease that is in use.
  ///   - options: how to recycle.
  ///   - progress: called with the bytes done and the size, from any thread. The call cannot be
  ///     cancelled; a scrub takes about 20 ms for each GiB.
  /// - Returns: what became of the memory.
  /// - Throws: ``HoldfastError`` with the code `noLease`; `busy` where it is in use;
  ///   `notPermitted`; `untrusted`; `resourceShortage` or `host` where scrubbing failed, after
  ///   which the memory is returned to the host.
  /// - Complexity: O(bytes).
  public func recycle(
    _ name: LeaseName, user: UInt32? = nil, otherwise fallback: Fallback = .refuse,
    options: RecycleOptions = RecycleOptions(),
    progress: @escaping @Sendable (ByteCount, ByteCount) -> Void = { _, _ in }
  ) throws(HoldfastError) -> LeaseEnd {
    if options.reuse == .release { return try release(name, user: user) }
    let operation = "recycle '\(name)'"
    return try reportingFailure(of: .recycle) { () throws(HoldfastError) in
      let filling = try openFilling(operation)
      let (folder, file) = try find(name, user: user, operation)
      let found: (file: OpenFile, status: FileStatus)?
      do throws(Errno) {
        found = try lockedFileSoon(file, in: folder)
      } catch {
        // Collected concurrently.
        if error == .noSuchFileOrDirectory { throw noLeaseError(operation, user ?? geteuid()) }
        throw HoldfastError(errno: error, operation: operation, reason: "cannot open its file")
      }
      guard let found else {
        if fallback == .release, !file.isHeld { return try release(name, user: user) }
        throw lockedError(file, operation)
      }
      return try recycle(
        LockedLease(file: found.file, lease: file, folder: folder, user: user ?? geteuid()),
        filling, otherwise: fallback, options, operation, progress)
    }
  }

  /// A leased file whose lock this process has.
  struct LockedLease {
    let file: OpenFile
    let lease: LeaseFile
    let folder: Folder
    let user: UInt32

    var name: String { lease.text }
  }

  func recycle(
    _ taken: LockedLease, _ filling: Folder, otherwise fallback: Fallback,
    _ options: RecycleOptions,
    _ operation: String,
    _ progress: @escaping @Sendable (ByteCount, ByteCount) -> Void = { _, _ in }
  ) throws(HoldfastError) -> LeaseEnd {
    let start = Instant.now
    let end = try makeReadyAgain(taken, filling, fallback, options, operation, progress)
    report(end, since: start)
    return end
  }

  private func makeReadyAgain(
    _ taken: LockedLease, _ filling: Folder, _ fallback: Fallback, _ options: RecycleOptions,
    _ operation: String, _ progress: @escaping @Sendable (ByteCount, ByteCount) -> Void
  ) throws(HoldfastError) -> LeaseEnd {
    let unchanged = "the lease is unchanged"
    let status = try during(operation, unchanged) { () throws(Errno) in try taken.file.status() }
    let isMember = isMember(taken.user)
    let reason = try during(operation, unchanged) { () throws(Errno) in
      try obstacle(
        taken.file, status, isScrubbed: options.reuse == .scrub && !isMember,
        timeout: options.timeout)
    }
    if let reason {
      guard fallback == .release else {
        throw HoldfastError(
          .busy, operation: operation, reason: reason,
          advice: reason == Self.openElsewhere
            ? .wait(until: "that process ends, or release the lease")
            : .other("release the lease instead"))
      }
    } else if !isMember, options.reuse == .scrub {
      return try scrub(taken, status, filling, options, operation, progress)
    }
    try move(taken, status, operation) { () throws(Errno) in
      try taken.folder.unlink(taken.name)
    }
    if let reason { return .released(status.size, reason: reason) }
    if isMember {
      // The user may have changed the size, so it does not say how much was ready before.
      return .released(
        status.size, reason: "user \(taken.user) had it, whose memory is not used again")
    }
    return replace(taken, status, filling, options, operation, progress)
  }

  /// Populates as much new memory as a lease had that was unlinked.
  private func replace(
    _ taken: LockedLease, _ status: FileStatus, _ filling: Folder, _ options: RecycleOptions,
    _ operation: String, _ progress: @escaping @Sendable (ByteCount, ByteCount) -> Void
  ) -> LeaseEnd {
    let size = options.size ?? status.size
    do throws(HoldfastError) {
      try checkSize(size, operation)
      // The pages return to the kernel now, rather than when the file is closed.
      try during(operation, "cannot truncate the file") { () throws(Errno) in
        try taken.file.setSize(.zero)
      }
      taken.file.endProof()
      let node = taken.lease.node
      try checkRoom(size, node, operation)
      let host = HostProbe().host()
      try makeReady(
        size,
        FillWork(
          filling: filling, nodes: node.map { HostNodes.bind($0) }, host: host,
          threads: options.threads ?? host.parallelism, operation: operation,
          cancellation: CancellationToken())
      ) { progress($0, size) }
      return .replaced(size)
    } catch {
      return .released(
        status.size, reason: "new memory could not be populated (\(error.reason))")
    }
  }

  /// Scrubs a file and makes it ready again.
  private func scrub(
    _ taken: LockedLease, _ status: FileStatus, _ filling: Folder, _ options: RecycleOptions,
    _ operation: String, _ progress: @escaping @Sendable (ByteCount, ByteCount) -> Void
  ) throws(HoldfastError) -> LeaseEnd {
    let id = RandomID.text()
    // From here on a crash leaves it in filling, from where no other process makes it ready.
    try move(taken, status, operation) { () throws(Errno) in
      try taken.folder.rename(taken.name, to: filling, id)
    }
    do throws(Errno) {
      var size = status.size
      if let leased = options.size, leased < size {
        try taken.file.setSize(leased)
        size = leased
      }
      // A monitor may have made the file longer than any memory, and a scrub populates what is
      // absent.
      do throws(HoldfastError) {
        try checkRoom(size - status.allocated, taken.lease.node, operation)
      } catch {
        throw Errno.noMemory
      }
      let node = try scrub(taken, size, options, progress)
      try setOwnerAndPermissions(taken.file)
      let name = ReadyName(size: size, node: node).text
      try filling.rename(id, to: ready, name)
      // A process that looked up the old name and opens the file only now breaks the proof. As long
      // as the proof is held, no process can lease the file.
      guard taken.file.isStillAlone else {
        try ready.unlink(name)
        throw .wouldBlock
      }
      // The lock and the proof end with the last reference to the file.
      return .recycled(size)
    } catch {
      // Before the memory returns, because then there may be room again.
      let failure = refusal(
        error, of: status.size - min(status.size, status.allocated), taken.lease.node, operation,
        "scrubbing failed", outcome: "the memory was returned to the host")
      try? filling.unlink(id)
      throw failure
    }
  }

  /// Moves or removes a lease's name, or leaves the lease unchanged.
  private func move(
    _ taken: LockedLease, _ status: FileStatus, _ operation: String,
    _ body: () throws(Errno) -> Void
  ) throws(HoldfastError) {
    do throws(Errno) {
      try withName(
        taken.name, in: taken.folder, of: status.identity, timeout: Self.folderLockTimeout, body)
    } catch {
      if (try? taken.file.status())?.permissions != status.permissions {
        try? taken.file.setPermissions(status.permissions)
      }
      switch error {
      case .noSuchFileOrDirectory:
        throw HoldfastError(
          .noLease, operation: operation, reason: "it was released concurrently",
          advice: .listLeases)
      case .wouldBlock:
        throw HoldfastError(
          .busy, operation: operation, reason: "another process keeps its folder locked",
          advice: .retry)
      default:
        throw HoldfastError(errno: error, operation: operation, reason: "the lease is unchanged")
      }
    }
  }

  static let openElsewhere = "another process has its memory open or mapped"

  /// Why a lease cannot end, or nil; then the proof is held, and only the owner may open the file.
  private func obstacle(
    _ file: OpenFile, _ status: FileStatus, isScrubbed: Bool, timeout: Duration
  ) throws(Errno) -> String? {
    if isScrubbed {
      if status.links != 1 { return "its file has \(status.links) names instead of one" }
      guard status.size > .zero, status.size.isMultiple(of: pageSize) else {
        return "its file was truncated to \(status.size)"
      }
    }
    var problem = proveUnshared(file, timeout: timeout)
    // The monitor may have changed the permissions, so that others may open the file that have an
    // O_PATH descriptor. They are changed only with the proof, since the time of the change is the
    // lease's age. Then exclusivity is proven again, as a process that was opening the file gets in
    // when the first proof ends.
    if isScrubbed, problem == nil, status.permissions != 0o600 {
      file.endProof()
      try file.setPermissions(0o600)
      problem = proveUnshared(file, timeout: .milliseconds(20))
      if problem != nil { try file.setPermissions(status.permissions) }
    }
    guard let problem else { return nil }
    guard problem == .wouldBlock else { throw problem }
    return Self.openElsewhere
  }

  /// Zeroes all of a file, populates what the monitor has returned to the host, and ends with the
  /// proof that no other process has had the file open during the scrub.
  ///
  /// - Returns: the node that all of it lies on, where it had one when it was leased.
  private func scrub(
    _ taken: LockedLease, _ size: ByteCount, _ options: RecycleOptions,
    _ progress: @escaping @Sendable (ByteCount, ByteCount) -> Void
  ) throws(Errno) -> NodeID? {
    let host = HostProbe().host()
    let memory = try MappedFile(
      taken.file, 0..<size.rawValue, pageSize: pageSize,
      threads: options.threads ?? host.parallelism)
    // Missing pages may come from another node where this one has none left. Then the memory is
    // ready too, but not as memory of the node.
    let placement = taken.lease.node.map {
      memory.place(on: .prefer($0), host)
    }
    for _ in 0..<Self.mostScrubs {
      // No process can truncate the file while the proof is held; one that opened it before could.
      guard try taken.file.status().size == size else { throw .ioError }
      try memory.populate(placement) { _ in
        progress(.zero, size)
        return true
      }
      memory.zero { progress($0, size) }
      if options.verifies, !memory.isZero({ progress(size, size) }) { throw .ioError }
      if taken.file.isStillAlone {
        return withExtendedLifetime(memory) {
          taken.lease.node.flatMap { memory.lies(on: $0, host) == true ? $0 : nil }
        }
      }
      // A process has opened the file, as the owner's own commands do to test the lock. The opener
      // cannot be identified and may have written, so exclusivity is proven again and the file
      // scrubbed again.
      taken.file.endProof()
      if let problem = proveUnshared(taken.file, timeout: options.timeout) { throw problem }
    }
    throw .wouldBlock
  }

  /// The number of scrubs after which a file that other processes keep opening is released.
  private static let mostScrubs = 20

  /// Opens the file of a lease and takes its lock. A held lease may be locked for some milliseconds
  /// after its end: a process that was started at that moment has the file open until it executes
  /// its program.
  private func lockedFileSoon(
    _ file: LeaseFile, in folder: Folder
  ) throws(Errno) -> (file: OpenFile, status: FileStatus)? {
    let end = Instant.now + Self.closingTimeout
    while true {
      let found = try lockedFile(file.text, in: folder, writable: true)
      if found != nil || !file.isHeld || Instant.now >= end { return found }
      usleep(1000)
    }
  }
}
