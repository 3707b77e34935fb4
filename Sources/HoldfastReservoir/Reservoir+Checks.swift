internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Why a file in the folder of ready ones is not to be touched, or nil where it is as it should be.
  func problem(_ status: FileStatus, named name: ReadyName) -> String? {
    if let problem = problem(status) { return problem }
    if status.size != name.size { return "it has \(status.size), not what its name says" }
    if status.permissions & (group == nil ? 0o077 : 0o007) != 0 { return "others may open it" }
    return nil
  }

  /// Why a name cannot be looked up, or nil: what is no UTF-8 in it was replaced when it was read.
  static func problem(name: String) -> String? {
    name.unicodeScalars.contains("\u{FFFD}") ? "its name is no UTF-8" : nil
  }

  /// Why a file is not one that this reservoir has made, or nil.
  func problem(_ status: FileStatus) -> String? {
    if !status.isRegular { return "it is \(status.kind)" }
    if status.owner != owner { return "user \(status.owner) owns it, not \(owner)" }
    if status.links != 1 { return "it has \(status.links) names" }
    return nil
  }

  /// Tries to prove for a while that nobody else has the file open: others open files for a moment to
  /// look at them, and a monitor's descriptors are closed a little after its end.
  ///
  /// - Returns: nil where it is proven, else why not.
  func prove(_ file: OpenFile, timeout: Duration) -> Errno? {
    let end = ContinuousClock.now + timeout
    while true {
      do throws(Errno) {
        try file.proveAlone()
        return nil
      } catch {
        guard error == .wouldBlock, ContinuousClock.now < end else { return error }
        usleep(200)
      }
    }
  }

  /// How long to wait for the lock of a folder of leases: others have it for microseconds, but its user, who
  /// may keep it, is not to keep others from their work.
  static let folderLockTimeout = Duration.milliseconds(500)

  /// Does something to the name of a lease, with the lock of its folder and if it is that file's. Nobody gives,
  /// moves on or takes away a lease's name without that, so that it is always the file that was meant.
  ///
  /// - Throws: `noSuchFileOrDirectory` where it is the name of another file by now, or of none; `wouldBlock`
  ///   where its user keeps the lock.
  func withName(
    _ name: String, in folder: Folder, of file: FileStatus.Identity, timeout: Duration,
    _ body: () throws(Errno) -> Void
  ) throws(Errno) {
    try folder.withLock(timeout: timeout) { () throws(Errno) in
      guard try folder.status(name).identity == file else { throw .noSuchFileOrDirectory }
      try body()
    }
  }

  /// Opens a file of leases or of filling and takes its lock.
  ///
  /// - Returns: nil where somebody else has the lock, or is just proving that nobody has the file open.
  /// - Throws: `noSuchFileOrDirectory` where the file went meanwhile.
  func lockedFile(
    _ name: String, in folder: Folder, writable: Bool
  ) throws(Errno) -> (file: OpenFile, status: FileStatus)? {
    do throws(Errno) {
      let file = try folder.file(name, writable: writable)
      try file.lock(waiting: false)
      let status = try file.status()
      // Who moves a file on has its lock, so from here on the name stands for it.
      guard try folder.status(name).identity == status.identity else { return nil }
      return (file, status)
    } catch {
      if error == .wouldBlock { return nil }
      throw error
    }
  }

  /// A user's folder of leases.
  ///
  /// - Returns: nil where he has none.
  func leaseFolder(of user: UInt32, _ operation: String) throws(HoldfastError) -> Folder? {
    let folder: Folder
    let status: FileStatus
    do throws(Errno) {
      folder = try leased.folder("\(user)")
      status = try folder.status()
    } catch {
      if error == .noSuchFileOrDirectory { return nil }
      if error == .notDirectory || error == .tooManySymbolicLinkLevels {
        throw HoldfastError(
          .untrusted, operation: operation, reason: "\(path)/leased/\(user): it is no folder",
          advice: .inspectAndRemove(path: "\(path)/leased/\(user)"))
      }
      throw HoldfastError(
        errno: error, operation: operation, reason: "\(path)/leased/\(user) cannot be opened",
        advice: error == .permissionDenied ? .becomeRoot : nil)
    }
    guard status.owner == user else {
      throw HoldfastError(
        .untrusted, operation: operation,
        reason: "\(path)/leased/\(user): user \(status.owner) has made it, not \(user)",
        advice: .inspectAndRemove(path: "\(path)/leased/\(user)"))
    }
    guard status.permissions & 0o077 == 0 else {
      throw HoldfastError(
        .untrusted, operation: operation, reason: "\(path)/leased/\(user): others may enter it",
        advice: .run(["chmod", "700", "\(path)/leased/\(user)"], asRoot: false))
    }
    return folder
  }

  /// A user's leases of a name: one at most, of either kind and any node, unless somebody made others.
  func leases(_ name: LeaseName, in folder: Folder) throws(Errno) -> [LeaseFile] {
    try folder.names().compactMap { LeaseFile($0) }.filter { $0.name == name }
      .sorted { !$0.isHeld && $1.isHeld }
  }

  /// The caller's own folder of leases, made where there is none.
  func ownLeaseFolder(_ operation: String) throws(HoldfastError) -> Folder {
    let user = geteuid()
    if let folder = try leaseFolder(of: user, operation) { return folder }
    do throws(Errno) {
      try leased.makeFolder("\(user)", permissions: 0o700)
    } catch {
      guard error == .fileExists else {
        throw HoldfastError(
          errno: error, operation: operation, reason: "\(path)/leased/\(user) cannot be made",
          advice: .joinGroup)
      }
    }
    if let folder = try leaseFolder(of: user, operation) { return folder }
    throw HoldfastError(
      .host, operation: operation, reason: "\(path)/leased/\(user) went away", advice: .retry)
  }
}
