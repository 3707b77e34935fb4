internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// What is wrong with a file in the folder of ready files, or nil.
  func problem(_ status: FileStatus, named name: ReadyName) -> String? {
    if let problem = problem(status) { return problem }
    if status.size != name.size {
      return "its size is \(status.size), but its name says \(name.size)"
    }
    if status.permissions & 0o7177 != 0 {
      return "its permissions allow access to other users"
    }
    // tmpfs may allocate a huge page that begins in the file and ends beyond it.
    if isHugetlb ? status.allocated != status.size : status.allocated < status.size {
      return "it has memory for \(status.allocated) of \(status.size)"
    }
    return nil
  }

  /// Moves what is in ready and must not be leased to quarantine.
  ///
  /// - Returns: whether it was moved; it was not where another process has moved it first.
  func setAside(_ name: String, in quarantine: Folder) -> Bool {
    do throws(Errno) {
      try ready.rename(name, to: quarantine, RandomID.text())
      return true
    } catch {
      return false
    }
  }

  /// Why a name cannot be looked up, or nil: reading it has replaced the bytes that are not UTF-8.
  static func problem(name: String) -> String? {
    name.unicodeScalars.contains("\u{FFFD}") ? "its name is not valid UTF-8" : nil
  }

  /// Why this reservoir cannot have created a file, or nil.
  ///
  /// - Parameter user: the user in whose folder of leases the file is.
  func problem(_ status: FileStatus, leasedBy user: UInt32? = nil) -> String? {
    if !status.isRegular { return "it is \(status.kind), not a regular file" }
    if !mayOwn(status.owner, leasedBy: user) {
      return "user \(status.owner) owns it, not user \(owner)"
    }
    if status.links != 1 { return "it has \(status.links) names instead of one" }
    return nil
  }

  /// Whether a file of the reservoir may belong to a user.
  ///
  /// A member's lease may belong to any: a container that runs as root on it may chown(2) it, and
  /// that it is in the member's folder, which only the owner changes, is proof enough. It is never
  /// used again.
  func mayOwn(_ file: UInt32, leasedBy user: UInt32?) -> Bool {
    file == owner || file == user || user.map(isMember) ?? false
  }

  /// The problem of a file whose name has another form than those of the reservoir.
  static let foreignName = "its name is not one that a reservoir gives"

  /// Tries until the timeout to prove that no other process has the file open.
  ///
  /// - Returns: nil where it is proven, otherwise the error.
  func proveUnshared(_ file: OpenFile, timeout: Duration) -> Errno? {
    do throws(Errno) {
      try file.proveAlone(within: timeout)
      return nil
    } catch {
      return error
    }
  }

  /// The longest wait for the lock of a folder of leases. Commands hold it for microseconds, but a
  /// process that was stopped meanwhile must not block others.
  static let folderLockTimeout = Duration.milliseconds(500)

  /// Changes the name of a lease, with the lock of its folder held, if the name still refers to the
  /// file. All code that creates, moves or removes a name does so, and thus never changes the name
  /// of another file.
  ///
  /// - Throws: `noSuchFileOrDirectory` where the name refers to another file or to none,
  ///   `wouldBlock` where the lock is not free before the timeout.
  func withName(
    _ name: String, in folder: Folder, of file: FileStatus.Identity, timeout: Duration,
    _ body: () throws(Errno) -> Void
  ) throws(Errno) {
    try folder.withLock(timeout: timeout) { () throws(Errno) in
      guard try folder.status(name).identity == file else { throw .noSuchFileOrDirectory }
      try body()
    }
  }

  /// Opens a file of a lease or in filling and takes its lock.
  ///
  /// - Returns: nil where another process has the lock, or is proving that no process has the file
  ///   open.
  /// - Throws: `noSuchFileOrDirectory` where the file was removed concurrently.
  func lockedFile(
    _ name: String, in folder: Folder, writable: Bool
  ) throws(Errno) -> (file: OpenFile, status: FileStatus)? {
    do throws(Errno) {
      let file = try folder.file(name, writable: writable)
      try file.lock(waiting: false)
      let status = try file.status()
      // A process that moves a file has its lock, so from here on the name refers to this file.
      guard try folder.status(name).identity == status.identity else { return nil }
      return (file, status)
    } catch {
      if error == .wouldBlock { return nil }
      throw error
    }
  }

  /// A user's folder of leases.
  ///
  /// - Returns: nil where the user has none.
  func leaseFolder(of user: UInt32, _ operation: String) throws(HoldfastError) -> Folder? {
    let place = "\(path)/leased/\(user)"
    let folder: Folder
    let status: FileStatus
    do throws(Errno) {
      folder = try leased.folder("\(user)")
      status = try folder.status()
    } catch {
      if error == .noSuchFileOrDirectory { return nil }
      if error == .notDirectory || error == .tooManySymbolicLinkLevels {
        throw HoldfastError(
          .untrusted, operation: operation, reason: "\(place): it is not a folder",
          advice: .inspectAndRemove(path: place))
      }
      throw HoldfastError(
        errno: error, operation: operation, reason: "cannot open \(place)",
        advice: error == .permissionDenied ? .becomeRoot : nil)
    }
    // Root's folder in another owner's reservoir belongs to root.
    guard status.owner == owner || status.owner == 0 else {
      throw HoldfastError(
        .untrusted, operation: operation,
        reason: "\(place): user \(status.owner) owns it, not user \(owner)",
        advice: .inspectAndRemove(path: place))
    }
    guard status.permissions & 0o027 == 0 else {
      throw HoldfastError(
        .untrusted, operation: operation,
        reason: "\(place): its permissions allow access to other users",
        advice: .run(["chmod", "o=,g-rw", place], asRoot: false))
    }
    return folder
  }

  /// A user's folder of leases, created where it is missing. A member may enter that folder, and
  /// not change it.
  func makeLeaseFolder(of user: UInt32, _ operation: String) throws(HoldfastError) -> Folder {
    var isMade = false
    let isMember = isMember(user)
    while true {
      if let folder = try leaseFolder(of: user, operation) {
        if isMember, let group {
          try during(operation, "cannot set the permissions of \(path)/leased/\(user)") {
            () throws(Errno) in
            let status = try folder.status()
            if status.group != group { try folder.setOwner(status.owner, group: group) }
            if status.permissions != 0o710 { try folder.setPermissions(0o710) }
          }
        }
        return folder
      }
      guard !isMade else { break }
      isMade = true
      do throws(Errno) {
        try leased.makeFolder("\(user)", permissions: 0o700)
      } catch {
        guard error == .fileExists else {
          throw HoldfastError(
            errno: error, operation: operation, reason: "cannot create \(path)/leased/\(user)",
            advice: .becomeRoot)
        }
      }
    }
    throw HoldfastError(
      .host, operation: operation, reason: "\(path)/leased/\(user) was removed concurrently",
      advice: .retry)
  }

  /// Whether a user is neither the owner nor root, so that the user's files are never reused.
  func isMember(_ user: UInt32) -> Bool { user != 0 && user != owner }
}
