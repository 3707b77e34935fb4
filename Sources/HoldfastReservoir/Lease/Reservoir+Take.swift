internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Tries to take one file.
  ///
  /// - Returns: nil where another file may do.
  func take(
    _ name: ReadyName, _ search: inout LeaseSearch
  ) throws(HoldfastError) -> (LeaseReceipt, OpenFile)? {
    let file: OpenFile
    let status: FileStatus
    do throws(Errno) {
      // Checked before it is opened, since opening a device can have effects.
      if let problem = problem(try ready.status(name.text), named: name) {
        reject(name, problem, &search)
        return nil
      }
      file = try ready.file(name.text)
      status = try file.status()
      if let problem = problem(status, named: name) {
        reject(name, problem, &search)
        return nil
      }
      // A plain lease is locked too, until the call returns, so that no process recycles it before.
      try file.lock(waiting: false)
    } catch {
      try search.skip(name, error, path: path)
      return nil
    }
    if name.size < search.request.size {
      return try takeSmaller(name, file, status, &search)
    }
    let lease = LeaseFile(search.name, node: name.node, isHeld: search.request.isHeld)
    let refused: HoldfastError?
    do throws(Errno) {
      refused = try enter(lease, search) { () throws(Errno) in
        try ready.rename(name.text, to: search.folder, lease.text)
      }
    } catch {
      try search.skip(name, error, path: path)
      return nil
    }
    if let refused { throw refused }
    // From here on the file is leased, and remains so if this process is killed.
    let taken = TakenFile(file: file, folder: search.folder, name: lease.text, isLeased: true)
    do throws(LeaseProblem) {
      try proveExclusive(taken, status)
    } catch {
      try giveUp(taken, name, status, error, &search)
      return nil
    }
    return try complete(lease, of: name, file, status, isOfNode: true, &search)
  }

  /// A file that this process has locked and moved out of ready.
  struct TakenFile {
    let file: OpenFile
    let folder: Folder
    let name: String
    /// Whether it has the name of a lease, instead of one in filling.
    let isLeased: Bool
  }

  /// Moves a file, unless the user has a lease of that name or its limits do not allow the lease. No
  /// other process changes the user's leases meanwhile, so leases at the same time do not exceed the
  /// limits together.
  ///
  /// - Parameter move: renames the file.
  /// - Returns: why it was not moved, or nil.
  func enter(
    _ lease: LeaseFile, _ search: LeaseSearch, _ move: () throws(Errno) -> Void
  ) throws(Errno) -> HoldfastError? {
    var isTaken = false
    var excess: String?
    // A user has one lease of a name. Files of one lease name can have different names.
    try search.folder.withLock(timeout: Self.folderLockTimeout) { () throws(Errno) in
      isTaken = try !leases(lease.name, in: search.folder).isEmpty
      if isTaken { return }
      excess = try excessOfLimits(search)
      if excess == nil { try move() }
    }
    if isTaken { return nameTakenError(lease.name, search.operation) }
    return excess.map { excess in
      HoldfastError(
        .resourceShortage, operation: search.operation, reason: excess,
        advice: .other("a higher limit in the service's configuration, or release a lease"))
    }
  }

  /// Completes the lease of a file that has its name.
  ///
  /// - Parameters:
  ///   - name: the file's name when it was ready.
  ///   - isOfNode: whether all of it lies on the node of that name, where it has one.
  /// - Returns: nil where the file is ready again or unlinked, and another file may do.
  func complete(
    _ lease: LeaseFile, of name: ReadyName, _ file: OpenFile, _ status: FileStatus,
    isOfNode: Bool, _ search: inout LeaseSearch
  ) throws(HoldfastError) -> (LeaseReceipt, OpenFile)? {
    let receipt: LeaseReceipt
    do throws(LeaseProblem) {
      receipt = try finish(lease, of: name, file, status, isOfNode: isOfNode, search)
    } catch {
      let taken = TakenFile(file: file, folder: search.folder, name: lease.text, isLeased: true)
      try giveUp(taken, name, status, error, &search)
      return nil
    }
    if !lease.isHeld { file.unlock() }
    guard (try? search.folder.status(lease.text))?.identity == status.identity else {
      throw releasedError(search)
    }
    return (receipt, file)
  }

  /// The number of files that a lease puts aside. Collections put aside the others, so that a lease
  /// takes no longer where there are many.
  private static let mostAside = 64

  /// Notes why a file is not leased, and puts it aside.
  private func reject(_ name: ReadyName, _ problem: String, _ search: inout LeaseSearch) {
    search.asideCount += 1
    let isAside =
      search.asideCount <= Self.mostAside
      && (try? openQuarantine(search.operation)).map { setAside(name.text, in: $0) } == true
    search.notes.append(
      "\(name.text) was \(isAside ? "moved to quarantine" : "skipped"): \(problem)")
  }

  /// Why the limits of the user do not allow the lease, or nil.
  private func excessOfLimits(_ search: LeaseSearch) throws(Errno) -> String? {
    guard let limits = search.holder.limits else { return nil }
    var bytes = ByteCount.zero
    var files = 0
    for name in try search.folder.names(atMost: Self.mostNames).names {
      guard let status = try? search.folder.status(name) else { continue }
      files += 1
      // The user may have extended the file, with memory or without.
      bytes += max(status.size, status.allocated)
    }
    return limits.problem(bytes: bytes, files: files, adding: search.request.size)
  }

  /// Why a file that was already renamed cannot be the lease.
  struct LeaseProblem: Error {
    let reason: String
    /// Set where no other file would do.
    var error: Errno?
    /// The same, where the caller gets this error.
    var refused: HoldfastError?
  }

  /// Sets the size of a file that has the lease's name, and gives it to the user.
  private func finish(
    _ lease: LeaseFile, of name: ReadyName, _ file: OpenFile, _ status: FileStatus,
    isOfNode: Bool, _ search: LeaseSearch
  ) throws(LeaseProblem) -> LeaseReceipt {
    do throws(Errno) {
      // Last of what can fail: from here on the user may open the file, so it is never ready again.
      let user = search.holder.user
      if isMember(user) { try file.setOwner(user, group: status.group) }
    } catch {
      throw LeaseProblem(
        reason: "the service may not give files to other users (CAP_CHOWN)", error: error)
    }
    let size = search.request.size
    do throws(Errno) {
      if name.size > size { try file.setSize(size) }
    } catch {
      throw LeaseProblem(
        reason: "cannot set the size of a file of \(name.size)", error: error)
    }
    LeaseAge.mark(file)
    return LeaseReceipt(
      path: "\(path)/leased/\(search.holder.user)/\(lease.text)", name: lease.name.text,
      size: size, pageSize: pageSize, node: isOfNode ? name.node : nil,
      trimmed: name.size - min(name.size, size), grown: size - min(name.size, size),
      isHeld: search.request.isHeld, isExclusive: true, waitedSeconds: 0, seconds: 0)
  }
  /// Proves that no other process has the file open. Only the owner and root can open it.
  func proveExclusive(_ taken: TakenFile, _ status: FileStatus) throws(LeaseProblem) {
    let file = taken.file
    guard (try? taken.folder.status(taken.name))?.identity == status.identity else {
      throw LeaseProblem(reason: "another process replaced the file")
    }
    if let problem = proveUnshared(file, timeout: .milliseconds(20)) {
      if problem == .wouldBlock { throw LeaseProblem(reason: "another process has it open") }
      throw LeaseProblem(
        reason: "cannot determine whether another process has it open", error: problem)
    }
    // A process that began to open it before waits for the proof to end.
    let isAlone = file.isStillAlone
    file.endProof()
    if !isAlone { throw LeaseProblem(reason: "another process has it open") }
  }
}
