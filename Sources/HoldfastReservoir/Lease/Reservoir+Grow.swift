internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Leases a file that is too small: moves it to filling, extends it there, and gives it the name
  /// of the lease when it is complete. If this process is killed meanwhile, as the kernel kills a
  /// process that exceeds the limit of a memory cgroup, there is no lease, and the next fill or
  /// collection unlinks the file.
  ///
  /// A file for a user with limits has the name of the lease from the beginning, and at once its
  /// size, because what is in the user's folder counts towards the limits. Otherwise leases at the
  /// same time could take more than the limits together until they are complete.
  ///
  /// - Parameters:
  ///   - file: the file, locked.
  ///   - status: its status.
  /// - Returns: nil where another file may do.
  func takeSmaller(
    _ name: ReadyName, _ file: OpenFile, _ status: FileStatus, _ search: inout LeaseSearch
  ) throws(HoldfastError) -> (LeaseReceipt, OpenFile)? {
    let size = search.request.size
    try checkFileSize(size, search.operation)
    try checkRoom(size - name.size, search.request.node, search.operation)
    let filling = try openFilling(search.operation)
    let lease = LeaseFile(search.name, node: name.node, isHeld: search.request.isHeld)
    let taken =
      search.holder.limits == nil
      ? TakenFile(file: file, folder: filling, name: RandomID.text(), isLeased: false)
      : TakenFile(file: file, folder: search.folder, name: lease.text, isLeased: true)
    let refused: HoldfastError?
    do throws(Errno) {
      // What would refuse the complete lease refuses it before memory is populated.
      refused = try enter(lease, search) { () throws(Errno) in
        try ready.rename(name.text, to: taken.folder, taken.name)
        // `grow` sees whether it failed.
        if taken.isLeased { try? file.setSize(size) }
      }
    } catch {
      try search.skip(name, error, path: path)
      return nil
    }
    if let refused { throw refused }
    let isOfNode: Bool
    do throws(LeaseProblem) {
      try proveExclusive(taken, status)
      isOfNode = try grow(taken, name, search)
      if !taken.isLeased { try enterGrown(taken, lease, search) }
    } catch {
      try giveUp(taken, name, status, error, &search)
      return nil
    }
    return try complete(lease, of: name, file, status, isOfNode: isOfNode, &search)
  }

  /// Gives a complete file the name of the lease.
  private func enterGrown(
    _ taken: TakenFile, _ lease: LeaseFile, _ search: LeaseSearch
  ) throws(LeaseProblem) {
    let refused: HoldfastError?
    do throws(Errno) {
      refused = try enter(lease, search) { () throws(Errno) in
        try taken.folder.rename(taken.name, to: search.folder, lease.text)
      }
    } catch {
      throw LeaseProblem(
        reason: "it cannot be moved to the user's folder of leases (\(error))",
        error: error == .wouldBlock ? nil : error)
    }
    // Another lease of the user was made meanwhile.
    if let refused { throw LeaseProblem(reason: refused.reason, refused: refused) }
  }

  /// Extends a file and populates what it lacks, or leaves it as it was.
  ///
  /// - Returns: whether all of it lies on the file's node, where it has one.
  private func grow(
    _ taken: TakenFile, _ name: ReadyName, _ search: LeaseSearch
  ) throws(LeaseProblem) -> Bool {
    let size = search.request.size
    var reason = "a file of \(name.size) cannot be extended by \(size - name.size)"
    do throws(Errno) {
      return try grow(taken.file, name, search, &reason)
    } catch {
      // Truncating needs no memory.
      try? taken.file.setSize(name.size)
      throw LeaseProblem(reason: reason, error: error)
    }
  }

  /// - Parameter reason: why that failed, if it is no other than the error.
  private func grow(
    _ file: OpenFile, _ name: ReadyName, _ search: LeaseSearch, _ reason: inout String
  ) throws(Errno) -> Bool {
    let request = search.request
    try file.setSize(request.size)
    let host = HostProbe().host()
    let memory = try MappedFile(
      file, name.size.rawValue..<request.size.rawValue, pageSize: pageSize,
      threads: request.threads ?? host.parallelism)
    // If the request does not name the node, memory of another node will do.
    let placement = name.node.map {
      memory.place(on: request.node == nil ? .prefer($0) : .bind($0), host)
    }
    try memory.populate(placement) { _ in !search.cancellation.isCancelled }
    guard let node = name.node else { return true }
    let lies = withExtendedLifetime(memory) { memory.lies(on: node, host) }
    if lies == true || request.node == nil { return lies == true }
    // The kernel takes memory that is bound from the node, also where it reports no nodes.
    guard let refusal = placement?.refusal, let problem = placement?.problem else { return true }
    reason = "node \(node) has not given what a file of \(name.size) lacks: \(problem)"
    throw refusal
  }
}
