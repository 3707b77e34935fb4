internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Leases memory: a file of exactly the size, otherwise the smallest larger file, truncated to
  /// the size, otherwise, where the request allows it, the largest smaller file, extended to the
  /// size. One rename(2) decides which process gets a file; a process that loses it takes the next
  /// one.
  ///
  /// - Parameters:
  ///   - request: the memory to lease.
  ///   - cancellation: ends the call while it waits for memory or extends a file.
  /// - Returns: the lease.
  /// - Throws: ``HoldfastError`` with the code `noReadyMemory` where no file satisfies the request,
  ///   `alreadyExists` where the user has a lease of that name, `invalidArgument` where the size is
  ///   not a multiple of the page size, `resourceShortage` where a file could not be extended,
  ///   `cancelled`, `noLease` where another process of the user released the new lease at once,
  ///   `notPermitted`, `untrusted` or `host`. A file that was taken is then ready again.
  /// - Complexity: O(*n* log *n*) for *n* ready files and leases of the user; plus O(bytes) to
  ///   extend a file, at the speed of the kernel's zeroing.
  public func lease(
    _ request: LeaseRequest, cancellation: CancellationToken = CancellationToken()
  ) throws(HoldfastError) -> Lease {
    let lease = try reportingFailure(of: .lease) { () throws(HoldfastError) in
      try search(request, cancellation)
    }
    let receipt = lease.receipt
    report(
      ReservoirEvent(
        .lease, size: receipt.size, duration: .seconds(receipt.seconds),
        waited: .seconds(receipt.waitedSeconds)))
    return lease
  }

  private func search(
    _ request: LeaseRequest, _ cancellation: CancellationToken
  ) throws(HoldfastError) -> Lease {
    let operation = "lease \(request.size)"
    try checkSize(request.size, operation)
    let name = request.name ?? LeaseName(unique: request.isHeld ? "run" : "lease")
    let folder = try ownLeaseFolder(operation)
    // Without a wait, even where no memory is ready.
    let isTaken = try during(operation, "cannot read the user's folder of leases") {
      () throws(Errno) in
      try !leases(name, in: folder).isEmpty
    }
    if isTaken { throw nameTakenError(name, operation) }

    let clock = ContinuousClock()
    let beginning = clock.now
    var search = LeaseSearch(
      request: request, name: name, folder: folder, operation: operation,
      cancellation: cancellation)
    var contended = 0
    while true {
      let start = clock.now
      search.isContended = false
      search.isOpenElsewhere = false
      search.notes = []
      if let (found, file) = try attempt(&search) {
        var receipt = found
        receipt.waitedSeconds = (start - beginning).seconds
        receipt.seconds = (clock.now - start).seconds
        return Lease(receipt, file, self)
      }
      // Another process is using a file that would do. It takes the file or frees it at once.
      if search.isContended, contended < 500 {
        // A proof has a timeout of its own, so fewer are tried.
        contended += search.isOpenElsewhere ? 50 : 1
        usleep(200)
        continue
      }
      guard clock.now - beginning < request.timeout else { throw search.noReadyMemory }
      if cancellation.isCancelled {
        throw cancelledError(operation)
      }
      contended = 0
      usleep(5000)
    }
  }

  /// Tries all ready files that would do, once.
  private func attempt(
    _ search: inout LeaseSearch
  ) throws(HoldfastError) -> (LeaseReceipt, OpenFile)? {
    let request = search.request
    let texts = try during(search.operation, "cannot read \(path)/ready") { () throws(Errno) in
      try ready.names()
    }
    let names = texts.compactMap { ReadyName($0) }.filter {
      request.node == nil || $0.node == request.node
    }.sorted()
    search.seen = names.map(\.size)
    let fitting = names.filter {
      request.isExact ? $0.size == request.size : $0.size >= request.size
    }
    let smaller = names.filter { request.grows && !request.isExact && $0.size < request.size }
    for name in fitting + smaller.reversed() {
      if let found = try take(name, &search) { return found }
    }
    return nil
  }

  /// Tries to take one file.
  ///
  /// - Returns: nil where another file may do.
  private func take(
    _ name: ReadyName, _ search: inout LeaseSearch
  ) throws(HoldfastError) -> (LeaseReceipt, OpenFile)? {
    let file: OpenFile
    let status: FileStatus
    do throws(Errno) {
      // Checked before it is opened, since opening a device can have effects.
      guard search.accepts(problem(try ready.status(name.text), named: name), name) else {
        return nil
      }
      file = try ready.file(name.text)
      status = try file.status()
      guard search.accepts(problem(status, named: name), name) else { return nil }
      // A plain lease is locked too, until the call returns, so that no process recycles it before.
      try file.lock(waiting: false)
    } catch {
      try search.skip(name, error, path: path)
      return nil
    }
    let lease = LeaseFile(search.name, node: name.node, isHeld: search.request.isHeld)
    do throws(Errno) {
      // A user has one lease of a name. Files of one lease name can have different names.
      try search.folder.withLock(timeout: Self.folderLockTimeout) { () throws(Errno) in
        guard try leases(lease.name, in: search.folder).isEmpty else { throw .fileExists }
        try ready.rename(name.text, to: search.folder, lease.text)
      }
    } catch {
      if error == .fileExists { throw nameTakenError(lease.name, search.operation) }
      try search.skip(name, error, path: path)
      return nil
    }
    // From here on the file is leased, and remains so if this process is killed.
    let receipt: LeaseReceipt
    do throws(LeaseProblem) {
      receipt = try finish(name, lease, file, status, search)
    } catch {
      // Its changes are undone and it is still zero, so it becomes ready again.
      do throws(Errno) {
        if group != nil, isOwner { try file.setPermissions(filePermissions) }
        try withName(
          lease.text, in: search.folder, of: status.identity, timeout: Self.folderLockTimeout
        ) { () throws(Errno) in try search.folder.rename(lease.text, to: ready, name.text) }
      } catch let second {
        if second == .noSuchFileOrDirectory { throw releasedError(search) }
        throw HoldfastError(
          errno: second, operation: search.operation,
          reason: "\(error.reason), and the file could not be made ready again",
          advice: .run(["holdfast", "reservoir", "release", "\(lease.name)"], asRoot: false))
      }
      if let fatal = error.error {
        if fatal == .canceled { throw cancelledError(search.operation) }
        throw HoldfastError(
          errno: fatal, operation: search.operation, reason: error.reason,
          advice: fatal == .noMemory || fatal == .noSpace
            ? .requestLess(than: search.request.size) : nil)
      }
      search.notes.append("\(name.text): \(error.reason)")
      search.isContended = true
      search.isOpenElsewhere = true
      return nil
    }
    if !lease.isHeld { file.unlock() }
    guard (try? search.folder.status(lease.text))?.identity == status.identity else {
      throw releasedError(search)
    }
    return (receipt, file)
  }

  private func cancelledError(_ operation: String) -> HoldfastError {
    HoldfastError(.cancelled, operation: operation, reason: "the caller cancelled it")
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

  /// Checks a file that was just renamed, proves that it is open nowhere else, and sets its size.
  private func finish(
    _ name: ReadyName, _ lease: LeaseFile, _ file: OpenFile, _ status: FileStatus,
    _ search: LeaseSearch
  ) throws(LeaseProblem) -> LeaseReceipt {
    guard (try? search.folder.status(lease.text))?.identity == status.identity else {
      throw LeaseProblem(reason: "another process replaced the file")
    }
    if group != nil, isOwner { try makeExclusive(file) }
    let size = search.request.size
    var isOfNode = true
    do throws(Errno) {
      if name.size > size { try file.setSize(size) }
      if name.size < size { isOfNode = try grow(file, name, search) }
    } catch {
      throw LeaseProblem(
        reason: "cannot set the size of a file of \(name.size)", error: error)
    }
    return LeaseReceipt(
      path: "\(path)/leased/\(geteuid())/\(lease.text)", name: lease.name.text,
      size: size, pageSize: pageSize, node: isOfNode ? name.node : nil,
      trimmed: name.size - min(name.size, size), grown: size - min(name.size, size),
      isHeld: search.request.isHeld,
      isExclusive: group == nil || isOwner, waitedSeconds: 0, seconds: 0)
  }

  /// Proves that no member of the group has the file open, and denies all members access to it, so
  /// that the proof stays valid. The folder's permissions deny access by name, those of the file
  /// deny it to a process that has an O_PATH descriptor of it.
  private func makeExclusive(_ file: OpenFile) throws(LeaseProblem) {
    do throws(Errno) {
      try file.setPermissions(0o600)
    } catch {
      throw LeaseProblem(reason: "cannot set its permissions", error: error)
    }
    if let problem = proveUnshared(file, timeout: .milliseconds(20)) {
      if problem == .wouldBlock { throw LeaseProblem(reason: "another process has it open") }
      throw LeaseProblem(
        reason: "cannot determine whether another process has it open", error: problem)
    }
    // A process that began to open it before the permissions were set waits for the proof to end.
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
        try? memory.bind(to: HostNodes([node], policy: .preferred))
      }
      try memory.populate { _ in !search.cancellation.isCancelled }
      return withExtendedLifetime(memory) { name.node.map { memory.lies(on: $0) == true } ?? true }
    } catch {
      // Truncating needs no memory.
      try file.setSize(name.size)
      throw error
    }
  }

  private func nameTakenError(_ name: LeaseName, _ operation: String) -> HoldfastError {
    HoldfastError(
      .alreadyExists, operation: operation, reason: "this user already has a lease '\(name)'",
      advice: .release(lease: name.text))
  }
}
