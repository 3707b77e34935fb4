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
    let lease = LeaseFile(search.name, node: name.node, isHeld: search.request.isHeld)
    var excess: String?
    do throws(Errno) {
      // A user has one lease of a name. Files of one lease name can have different names.
      try search.folder.withLock(timeout: Self.folderLockTimeout) { () throws(Errno) in
        guard try leases(lease.name, in: search.folder).isEmpty else { throw .fileExists }
        // With the lock held, so that leases at the same time do not exceed the limits together.
        excess = try excessOfLimits(search)
        if excess != nil { return }
        try ready.rename(name.text, to: search.folder, lease.text)
        // So that the next lease counts what this one takes. `grow` sees whether it failed.
        if name.size < search.request.size { try? file.setSize(search.request.size) }
      }
    } catch {
      if error == .fileExists { throw nameTakenError(lease.name, search.operation) }
      try search.skip(name, error, path: path)
      return nil
    }
    if let excess {
      throw HoldfastError(
        .resourceShortage, operation: search.operation, reason: excess,
        advice: .other("a higher limit in the service's configuration, or release a lease"))
    }
    // From here on the file is leased, and remains so if this process is killed.
    let taken = LockedLease(
      file: file, lease: lease, folder: search.folder, user: search.holder.user)
    let receipt: LeaseReceipt
    do throws(LeaseProblem) {
      receipt = try finish(name, taken, status, search)
    } catch {
      let isReady = try undo(taken, name, status, search)
      if let fatal = error.error {
        if fatal == .canceled { throw cancelledError(search.operation) }
        throw HoldfastError(
          errno: fatal, operation: search.operation, reason: error.reason,
          advice: fatal == .noMemory || fatal == .noSpace
            ? .requestLess(than: search.request.size) : nil)
      }
      search.notes.append("\(name.text): \(error.reason)")
      if isReady {
        search.isContended = true
        search.isOpenElsewhere = true
      }
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

  /// Makes a file ready again that could not be leased, if it is as it was, no other user could
  /// open it, and the kernel proves that no other process has it open; otherwise unlinks it.
  ///
  /// - Returns: whether it is ready.
  private func undo(
    _ taken: LockedLease, _ name: ReadyName, _ before: FileStatus, _ search: LeaseSearch
  ) throws(HoldfastError) -> Bool {
    var isReady = false
    do throws(Errno) {
      // A file that belonged to the user is not as it was: the user may have written to it, or
      // pinned its pages, and the proof covers neither.
      if try taken.file.status().size > name.size { try taken.file.setSize(name.size) }
      let status = try taken.file.status()
      isReady =
        problem(status, named: name) == nil && status.identity == before.identity
        && proveUnshared(taken.file, timeout: .milliseconds(500)) == nil
    } catch {
      isReady = false
    }
    defer { taken.file.endProof() }
    do throws(Errno) {
      try withName(
        taken.name, in: taken.folder, of: before.identity, timeout: Self.folderLockTimeout
      ) { () throws(Errno) in
        if isReady {
          try taken.folder.rename(taken.name, to: ready, name.text)
        } else {
          try taken.folder.unlink(taken.name)
        }
      }
      // A process that tried to open the file meanwhile gets it when the proof ends.
      if isReady, !taken.file.isStillAlone {
        try ready.unlink(name.text)
        isReady = false
      }
    } catch {
      if error == .noSuchFileOrDirectory { throw releasedError(search) }
      throw HoldfastError(
        errno: error, operation: search.operation,
        reason: "the lease failed, and its file could not be made ready again or unlinked",
        advice: .run(["holdfast", "reservoir", "release", "\(taken.lease.name)"], asRoot: false))
    }
    return isReady
  }

  private func releasedError(_ search: LeaseSearch) -> HoldfastError {
    HoldfastError(
      .noLease, operation: search.operation,
      reason: "another process released '\(search.name)' concurrently",
      advice: .useAnotherName)
  }

  /// Why a file that was already renamed cannot be the lease.
  private struct LeaseProblem: Error {
    let reason: String
    /// Set where no other file would do.
    var error: Errno?
  }

  /// Checks a file that was just renamed, proves that it is open nowhere else, sets its size, and
  /// gives it to the user.
  private func finish(
    _ name: ReadyName, _ taken: LockedLease, _ status: FileStatus, _ search: LeaseSearch
  ) throws(LeaseProblem) -> LeaseReceipt {
    let file = taken.file
    guard (try? search.folder.status(taken.name))?.identity == status.identity else {
      throw LeaseProblem(reason: "another process replaced the file")
    }
    try proveExclusive(file)
    let size = search.request.size
    let holder = search.holder
    var isOfNode = true
    if name.size < size {
      do throws(Errno) {
        isOfNode = try grow(file, name, search)
      } catch {
        throw LeaseProblem(reason: "cannot set the size of a file of \(name.size)", error: error)
      }
    }
    do throws(Errno) {
      // Last of what can fail: from here on the user may open the file, so it is never ready again.
      if isMember(holder.user) { try file.setOwner(holder.user, group: status.group) }
    } catch {
      throw LeaseProblem(
        reason: "the service may not give files to other users (CAP_CHOWN)", error: error)
    }
    do throws(Errno) {
      if name.size > size { try file.setSize(size) }
    } catch {
      throw LeaseProblem(
        reason: "cannot set the size of a file of \(name.size)", error: error)
    }
    return LeaseReceipt(
      path: "\(path)/leased/\(holder.user)/\(taken.name)", name: taken.lease.name.text,
      size: size, pageSize: pageSize, node: isOfNode ? name.node : nil,
      trimmed: name.size - min(name.size, size), grown: size - min(name.size, size),
      isHeld: search.request.isHeld, isExclusive: true, waitedSeconds: 0, seconds: 0)
  }

  /// Proves that no other process has the file open. Only the owner and root can open it.
  private func proveExclusive(_ file: OpenFile) throws(LeaseProblem) {
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

  /// Extends a file and populates what it lacks, or leaves it as it was.
  ///
  /// - Returns: whether all of it lies on the file's node, where it has one.
  private func grow(
    _ file: OpenFile, _ name: ReadyName, _ search: LeaseSearch
  ) throws(Errno) -> Bool {
    let request = search.request
    do throws(Errno) {
      try file.setSize(request.size)
      let memory = try MappedFile(
        file, name.size.rawValue..<request.size.rawValue, pageSize: pageSize,
        threads: request.threads ?? HostProbe().host().parallelism)
      if let node = request.node {
        try memory.bind(to: .bind(node))
      } else if let node = name.node {
        // The request does not name the node, so memory of another node will do.
        try? memory.bind(to: .prefer(node))
      }
      try memory.populate { _ in !search.cancellation.isCancelled }
      return withExtendedLifetime(memory) { name.node.map { memory.lies(on: $0) == true } ?? true }
    } catch {
      // Truncating needs no memory.
      try file.setSize(name.size)
      throw error
    }
  }
}
