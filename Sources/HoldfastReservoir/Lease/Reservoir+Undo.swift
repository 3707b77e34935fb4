internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Makes a file ready again that cannot be the lease, or unlinks it.
  ///
  /// - Throws: the problem, where no other file would do.
  func giveUp(
    _ taken: TakenFile, _ name: ReadyName, _ status: FileStatus, _ problem: LeaseProblem,
    _ search: inout LeaseSearch
  ) throws(HoldfastError) {
    let isReady = try undo(taken, name, status, search)
    if let refused = problem.refused { throw refused }
    if let fatal = problem.error {
      if fatal == .canceled { throw cancelledError(search.operation) }
      let growth = search.request.size - min(search.request.size, name.size)
      throw refusal(fatal, of: growth, search.request.node, search.operation, problem.reason)
    }
    search.notes.append("\(name.text): \(problem.reason)")
    if isReady {
      search.isContended = true
      search.isOpenElsewhere = true
    }
  }

  /// Makes a file ready again that could not be leased, if it is as it was, no other user could
  /// open it, and the kernel proves that no other process has it open; otherwise unlinks it.
  ///
  /// - Returns: whether it is ready.
  private func undo(
    _ taken: TakenFile, _ name: ReadyName, _ before: FileStatus, _ search: LeaseSearch
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
    func move() throws(Errno) {
      if isReady {
        try taken.folder.rename(taken.name, to: ready, name.text)
      } else {
        try taken.folder.unlink(taken.name)
      }
    }
    do throws(Errno) {
      if taken.isLeased {
        try withName(
          taken.name, in: taken.folder, of: before.identity, timeout: Self.folderLockTimeout, move)
      } else {
        // In filling only the process that has the file's lock changes its name.
        guard try taken.folder.status(taken.name).identity == before.identity else {
          throw .noSuchFileOrDirectory
        }
        try move()
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
        advice: taken.isLeased
          ? .run(["holdfast", "reservoir", "release", "\(search.name)"], asRoot: false) : nil)
    }
    return isReady
  }

  func releasedError(_ search: LeaseSearch) -> HoldfastError {
    HoldfastError(
      .noLease, operation: search.operation,
      reason: "another process released '\(search.name)' concurrently",
      advice: .useAnotherName)
  }
}
