internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Leases memory: the file of exactly the size, else the smallest larger one, cut to size, else, where
  /// the request lets it grow, the largest smaller one. One rename(2) decides who gets a file; who loses
  /// takes the next.
  ///
  /// - Parameter cancellation: ends the call while it waits for memory or populates what a file lacks.
  /// - Throws: ``HoldfastError``: `empty` where nothing suits, `nameTaken`, `badSize`, `shortage` where it
  ///   could not grow, `stopped`; then the file is ready again.
  /// - Complexity: O(*n* log *n*) for *n* ready files and the user's leases; growing costs what the kernel
  ///   needs to zero.
  public func lease(
    _ request: LeaseRequest, cancellation: CancellationToken = CancellationToken()
  ) throws(HoldfastError) -> Lease {
    let lease = try tellingFailure(of: .lease) { () throws(HoldfastError) in
      try seek(request, cancellation)
    }
    let receipt = lease.receipt
    tell(
      ReservoirEvent(
        .lease, size: receipt.size, duration: .seconds(receipt.seconds),
        waited: .seconds(receipt.waitedSeconds)))
    return lease
  }

  private func seek(
    _ request: LeaseRequest, _ cancellation: CancellationToken
  ) throws(HoldfastError) -> Lease {
    let operation = "lease \(request.size)"
    try checkSize(request.size, operation)
    let name = request.name ?? LeaseName(unique: request.isHeld ? "run" : "lease")
    let folder = try ownLeaseFolder(operation)
    // At once, also where nothing is ready.
    let isTaken = try during(operation, "its folder cannot be read") { () throws(Errno) in
      try !leases(name, in: folder).isEmpty
    }
    if isTaken { throw nameTaken(name, operation) }

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
        receipt.waitedSeconds = (start - beginning).inSeconds
        receipt.seconds = (clock.now - start).inSeconds
        return Lease(receipt, file, self)
      }
      // Somebody is at a file that suits: either he takes it or it is there again at once.
      if search.isContended, contended < 500 {
        // A proof has its own timeout, so there are not as many.
        contended += search.isOpenElsewhere ? 50 : 1
        usleep(200)
        continue
      }
      guard clock.now - beginning < request.timeout else { throw search.empty }
      if cancellation.isCancelled {
        throw HoldfastError(.cancelled, operation: operation, reason: "the caller cancelled it")
      }
      contended = 0
      usleep(5000)
    }
  }

  /// One look at all that is ready.
  private func attempt(
    _ search: inout LeaseSearch
  ) throws(HoldfastError) -> (LeaseReceipt, OpenFile)? {
    let request = search.request
    let texts = try during(search.operation, "\(path)/ready cannot be read") { () throws(Errno) in
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

  /// Tries to get one file.
  private func take(
    _ name: ReadyName, _ search: inout LeaseSearch
  ) throws(HoldfastError) -> (LeaseReceipt, OpenFile)? {
    let file: OpenFile
    let status: FileStatus
    do throws(Errno) {
      // A look before it is opened: opening a device may do something.
      guard search.accepts(problem(try ready.status(name.text), named: name), name) else {
        return nil
      }
      file = try ready.file(name.text)
      status = try file.status()
      guard search.accepts(problem(status, named: name), name) else { return nil }
      // A plain lease too, until it is done, so that nobody recycles it before.
      try file.lock(waiting: false)
    } catch {
      return try search.lost(error, name, path: path)
    }
    let lease = LeaseFile(search.name, node: name.node, isHeld: search.request.isHeld)
    do throws(Errno) {
      // Two leases of a name would be hard to tell apart, and their files may have different ones.
      try search.folder.withLock(timeout: Self.folderLockTimeout) { () throws(Errno) in
        guard try leases(lease.name, in: search.folder).isEmpty else { throw .fileExists }
        try ready.rename(name.text, to: search.folder, lease.text)
      }
    } catch {
      if error == .fileExists { throw nameTaken(lease.name, search.operation) }
      return try search.lost(error, name, path: path)
    }
    // From here on the file is leased, and whoever kills this process leaves a lease behind.
    let receipt: LeaseReceipt
    do throws(LeaseProblem) {
      receipt = try finish(name, lease, file, status, search)
    } catch {
      // All that was done to it is undone, and it is as zero as it was: back to where it came from.
      do throws(Errno) {
        if group != nil, isOwner { try file.setPermissions(filePermissions) }
        try withName(
          lease.text, in: search.folder, of: status.identity, timeout: Self.folderLockTimeout
        ) { () throws(Errno) in try search.folder.rename(lease.text, to: ready, name.text) }
      } catch let second {
        if second == .noSuchFileOrDirectory { throw releasedMeanwhile(search) }
        throw HoldfastError(
          errno: second, operation: search.operation,
          reason: "\(error.reason), and the file could not go back to the ready ones",
          advice: .release(lease: "\(lease.name)"))
      }
      if let fatal = error.error {
        throw HoldfastError(
          errno: fatal, operation: search.operation, reason: error.reason,
          advice: .other("a smaller size"))
      }
      search.notes.append("\(name.text): \(error.reason)")
      search.isContended = true
      search.isOpenElsewhere = true
      return nil
    }
    if !lease.isHeld { file.unlock() }
    guard (try? search.folder.status(lease.text))?.identity == status.identity else {
      throw releasedMeanwhile(search)
    }
    return (receipt, file)
  }

  private func releasedMeanwhile(_ search: LeaseSearch) -> HoldfastError {
    HoldfastError(
      .noLease, operation: search.operation, reason: "'\(search.name)' was released meanwhile",
      advice: .useAnotherName)
  }

  /// Why a file that was already renamed is not the lease.
  private struct LeaseProblem: Error {
    let reason: String
    /// Set where no other file would do better.
    var error: Errno?
  }

  /// Checks, proves and sizes a file that was just renamed.
  private func finish(
    _ name: ReadyName, _ lease: LeaseFile, _ file: OpenFile, _ status: FileStatus,
    _ search: LeaseSearch
  ) throws(LeaseProblem) -> LeaseReceipt {
    guard (try? search.folder.status(lease.text))?.identity == status.identity else {
      throw LeaseProblem(reason: "another file was put in its place")
    }
    if group != nil, isOwner { try makeExclusive(file) }
    let size = search.request.size
    var isOfNode = true
    do throws(Errno) {
      if name.size > size { try file.setSize(size) }
      if name.size < size { isOfNode = try grow(file, name, search) }
    } catch {
      throw LeaseProblem(
        reason: "the file of \(name.size) could not be brought to that size", error: error)
    }
    return LeaseReceipt(
      path: "\(path)/leased/\(geteuid())/\(lease.text)", name: lease.name.text,
      size: size, pageSize: pageSize, node: isOfNode ? name.node : nil,
      trimmed: name.size - min(name.size, size), grown: size - min(name.size, size),
      isHeld: search.request.isHeld,
      isExclusive: group == nil || isOwner, waitedSeconds: 0, seconds: 0)
  }

  /// Proves that no member of the group has opened the file while it was ready, and keeps all from it that
  /// have not: the folder does so by its permissions, and the file's own are for those who remember where
  /// it is (O_PATH). So the proof cannot grow old.
  private func makeExclusive(_ file: OpenFile) throws(LeaseProblem) {
    do throws(Errno) {
      try file.setPermissions(0o600)
    } catch {
      throw LeaseProblem(reason: "its permissions cannot be set", error: error)
    }
    if let problem = prove(file, timeout: .milliseconds(20)) {
      if problem == .wouldBlock { throw LeaseProblem(reason: "another process has it open") }
      throw LeaseProblem(
        reason: "the kernel does not tell whether another process has it open", error: problem)
    }
    // Who was on his way in before the permissions were set waits for the proof's end.
    let isAlone = file.isStillAlone
    file.endProof()
    if !isAlone { throw LeaseProblem(reason: "another process has it open") }
  }

  /// Brings in what a file lacks, or leaves it as it was.
  ///
  /// - Returns: whether it is of the file's node, where that has one.
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
        // Nobody asked for the node, so another one is better than none.
        try? memory.bind(to: HostNodes([node], policy: .preferred))
      }
      try memory.populate { _ in !search.cancellation.isCancelled }
      return withExtendedLifetime(memory) { name.node.map { memory.lies(on: $0) == true } ?? true }
    } catch {
      // Cutting takes no memory.
      try file.setSize(name.size)
      throw error
    }
  }

  private func nameTaken(_ name: LeaseName, _ operation: String) -> HoldfastError {
    HoldfastError(
      .alreadyExists, operation: operation, reason: "you have a lease '\(name)' already",
      advice: .release(lease: name.text))
  }
}

extension Duration {
  var inSeconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}
