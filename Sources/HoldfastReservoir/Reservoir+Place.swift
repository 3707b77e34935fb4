package import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Checks that the path of the mount still leads to the folders that this object has open. They
  /// differ after `umount -l` and another mount, or after a removal and another `init`: a process
  /// that goes on would then fill folders that no lease can reach.
  ///
  /// The open descriptors keep the old file system and its inodes in existence, so the kernel gives
  /// their numbers to no others meanwhile.
  ///
  /// - Throws: ``HoldfastError`` with the code `noReservoir` and one line that says what has
  ///   changed; or `host` where that could not be determined, for lack of descriptors for example.
  /// - Complexity: a few system calls.
  package func checkPlace() throws(HoldfastError) {
    let operation = "use the reservoir in \(mount)"
    let place = try lookingUp(mount, operation) { () throws(Errno) in
      try Folder.open(path: mount)
    }
    try compare(path, top, operation) { () throws(Errno) in try place.status(Self.folderName) }
    for (name, folder) in [("ready", ready), ("leased", leased)] {
      try compare("\(path)/\(name)", folder, operation) { () throws(Errno) in
        try top.status(name)
      }
    }
    // This one is opened anew by each operation that uses it.
    let filling = try lookingUp("\(path)/filling", operation) { () throws(Errno) in
      try top.status("filling")
    }
    guard filling.isFolder else {
      throw changed("\(path)/filling is \(filling.kind), not a folder", operation)
    }
  }

  private func compare(
    _ path: String, _ folder: Folder, _ operation: String, _ found: () throws(Errno) -> FileStatus
  ) throws(HoldfastError) {
    let found = try lookingUp(path, operation, found)
    let before = try during(operation, "cannot stat \(path)") { () throws(Errno) in
      try folder.status()
    }
    if found.identity == before.identity { return }
    throw changed(
      found.isOnFileSystem(of: before)
        ? "\(path) is another folder than before, so it was removed and created again"
        : "\(path) is on another file system than before, so another one was mounted", operation)
  }

  private func lookingUp<Result>(
    _ path: String, _ operation: String, _ body: () throws(Errno) -> Result
  ) throws(HoldfastError) -> Result {
    do throws(Errno) {
      return try body()
    } catch {
      switch error {
      case .noSuchFileOrDirectory: throw changed("\(path) is gone", operation)
      case .notDirectory, .tooManySymbolicLinkLevels, .permissionDenied:
        throw changed("\(path) is no longer a folder that this process may enter", operation)
      default:
        throw HoldfastError(
          errno: error, operation: operation, reason: "cannot look up \(path)")
      }
    }
  }

  private func changed(_ reason: String, _ operation: String) -> HoldfastError {
    HoldfastError(.noReservoir, operation: operation, reason: reason)
  }
}
