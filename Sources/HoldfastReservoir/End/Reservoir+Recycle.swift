internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// How to recycle.
public struct RecycleOptions: Hashable, Sendable {
  /// Debug: read all of the memory after it was scrubbed, and unlink it where a byte is not zero.
  public var verifies = false
  /// Threads that scrub, or nil for one for each processor that may be used.
  public var threads: Int?
  /// How long to wait for the last descriptors of a monitor that has just ended.
  public var timeout = Duration.milliseconds(250)

  public init(verifies: Bool = false, threads: Int? = nil) {
    self.verifies = verifies
    self.threads = threads
  }
}

extension Reservoir {
  /// What to do with a lease that cannot be recycled.
  public enum Fallback: Hashable, Sendable {
    /// Leave the lease as it is and throw.
    case refuse
    /// Give the memory back to the host.
    case unlink
  }

  /// Scrubs a lease's memory and makes it ready again, in its size, once the kernel has proven that nobody
  /// has it open or mapped. For the owner and root.
  ///
  /// Pages that a device or a pipe still has pinned (vfio, vmsplice(2)) are neither open nor mapped, and no
  /// proof can tell: recycle what monitors leave that are trusted so far, release the rest.
  ///
  /// - Parameters:
  ///   - user: whose lease it is, by number; nil for the caller's own.
  ///   - fallback: what to do where it is in use.
  ///   - progress: told the bytes scrubbed and those of the file, from any thread.
  /// - Throws: ``HoldfastError``: `noLease`, `inUse`, `notPermitted`; `system` or `shortage` where
  ///   scrubbing failed, after which the memory is the host's.
  public func recycle(
    _ name: LeaseName, user: UInt32? = nil, otherwise fallback: Fallback = .refuse,
    options: RecycleOptions = RecycleOptions(),
    progress: @escaping @Sendable (ByteCount, ByteCount) -> Void = { _, _ in }
  ) throws(HoldfastError) -> LeaseEnd {
    let operation = "recycle '\(name)'"
    return try tellingFailure(of: .recycle) { () throws(HoldfastError) in
      let filling = try openFilling(operation)
      let (folder, file) = try find(name, user: user, operation)
      let found: (file: OpenFile, status: FileStatus)?
      do throws(Errno) {
        found = try lockedFile(file.text, in: folder, writable: true)
      } catch {
        // Collected meanwhile.
        if error == .noSuchFileOrDirectory { throw noLease(operation, user ?? geteuid()) }
        throw HoldfastError(errno: error, operation: operation, reason: "its file cannot be opened")
      }
      guard let found else {
        if fallback == .unlink, !file.isHeld { return try release(name, user: user) }
        throw held(file, operation)
      }
      return try recycle(
        Taken(file: found.file, lease: file, folder: folder), filling, otherwise: fallback,
        options, operation, progress)
    }
  }

  /// A leased file whose lock is ours.
  struct Taken {
    let file: OpenFile
    let lease: LeaseFile
    let folder: Folder

    var name: String { lease.text }
  }

  func recycle(
    _ taken: Taken, _ filling: Folder, otherwise fallback: Fallback, _ options: RecycleOptions,
    _ operation: String,
    _ progress: @escaping @Sendable (ByteCount, ByteCount) -> Void = { _, _ in }
  ) throws(HoldfastError) -> LeaseEnd {
    let start = ContinuousClock.now
    let end = try makeReadyAgain(taken, filling, fallback, options, operation, progress)
    tell(end, since: start)
    return end
  }

  private func makeReadyAgain(
    _ taken: Taken, _ filling: Folder, _ fallback: Fallback, _ options: RecycleOptions,
    _ operation: String, _ progress: @escaping @Sendable (ByteCount, ByteCount) -> Void
  ) throws(HoldfastError) -> LeaseEnd {
    let id = ReadyName.newID()
    let unchanged = "the lease stays as it is"
    let status = try during(operation, unchanged) { () throws(Errno) in try taken.file.status() }
    let size = status.size
    let reason = try during(operation, unchanged) { () throws(Errno) in
      try obstacle(taken.file, status, timeout: options.timeout)
    }
    if let reason {
      guard fallback == .unlink else {
        throw HoldfastError(
          .busy, operation: operation, reason: reason,
          advice: .wait(until: "that process ends"))
      }
      try move(taken, status, operation) { () throws(Errno) in
        try taken.folder.unlink(taken.name)
      }
      return .unlinked(size, reason: reason)
    }
    // From here on a crash leaves it in filling, which is never made ready by anybody else.
    try move(taken, status, operation) { () throws(Errno) in
      try taken.folder.rename(taken.name, to: filling, id)
    }
    do throws(Errno) {
      let node = try scrub(taken, size, options, progress)
      // Only now that it is zero, as members may remember where it is (O_PATH).
      try dress(taken.file)
      let name = ReadyName(size: size, node: node).text
      try filling.rename(id, to: ready, name)
      // Who had looked up the old name and opens it only now shows in the proof, while which nobody can
      // lease the file.
      guard taken.file.isStillAlone else {
        try ready.unlink(name)
        throw .wouldBlock
      }
      // With the last reference to the file its lock and the proof end.
      return .recycled(size)
    } catch {
      try? filling.unlink(id)
      throw HoldfastError(
        errno: error, operation: operation,
        reason: "scrubbing failed, and the memory was given back to the host")
    }
  }

  /// Moves a lease's name on, or leaves all as it was.
  private func move(
    _ taken: Taken, _ status: FileStatus, _ operation: String, _ body: () throws(Errno) -> Void
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
          .noLease, operation: operation, reason: "it was released meanwhile",
          advice: .listLeases)
      case .wouldBlock:
        throw HoldfastError(
          .busy, operation: operation, reason: "its user keeps the lock of the folder it is in",
          advice: .retry)
      default:
        throw HoldfastError(errno: error, operation: operation, reason: "the lease stays as it is")
      }
    }
  }

  /// Why a file cannot be made ready again, or nil; then the proof is held, and it is the owner's alone.
  private func obstacle(
    _ file: OpenFile, _ status: FileStatus, timeout: Duration
  ) throws(Errno) -> String? {
    if status.links != 1 { return "its file has \(status.links) names" }
    guard status.size > .zero, status.size.isMultiple(of: pageSize) else {
      return "its file was cut to \(status.size)"
    }
    var problem = prove(file, timeout: timeout)
    // A member's lease, which others may open that remember where it is. Only what is proven is touched, as its
    // time is the lease's age; and proven again, as who was on his way in comes in with the proof's end.
    if problem == nil, status.permissions != 0o600 {
      file.endProof()
      try file.setPermissions(0o600)
      problem = prove(file, timeout: .milliseconds(20))
      if problem != nil { try file.setPermissions(status.permissions) }
    }
    guard let problem else { return nil }
    guard problem == .wouldBlock else { throw problem }
    return "another process has its memory open or mapped"
  }

  /// Makes all of a file zero, also what the monitor gave back in between, and ends with the proof that nobody
  /// has had it open meanwhile.
  ///
  /// - Returns: the node that all of it lies on, where it was of one when it was leased.
  private func scrub(
    _ taken: Taken, _ size: ByteCount, _ options: RecycleOptions,
    _ progress: @escaping @Sendable (ByteCount, ByteCount) -> Void
  ) throws(Errno) -> NodeID? {
    let memory = try MappedFile(
      taken.file, 0..<size.rawValue, pageSize: pageSize,
      threads: options.threads ?? HostProbe().host().parallelism)
    // What is missing may come from another node where this one has nothing left: the memory is ready all
    // the same, only not as the node's.
    if let node = taken.lease.node {
      try? memory.bind(to: HostNodes([node], policy: .preferred))
    }
    for _ in 0..<Self.mostScrubs {
      // With the proof nobody can cut it, but who was let in before it could.
      guard try taken.file.status().size == size else { throw .ioError }
      try memory.populate { _ in
        progress(.zero, size)
        return true
      }
      memory.zero { progress($0, size) }
      if options.verifies, !memory.isZero({ progress(size, size) }) { throw .ioError }
      if taken.file.isStillAlone {
        return withExtendedLifetime(memory) {
          taken.lease.node.flatMap { memory.lies(on: $0) == true ? $0 : nil }
        }
      }
      // Somebody came: the owner's own commands do, to look whether the file is locked. Who it was is not to
      // be known, so nothing is known of the contents either.
      taken.file.endProof()
      if let problem = prove(taken.file, timeout: options.timeout) { throw problem }
    }
    throw .wouldBlock
  }

  /// How often a file is scrubbed that others look at meanwhile, before it is given back to the host.
  private static let mostScrubs = 20
}
