internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Creates the folders of a reservoir, or sets the owner and permissions of existing ones. None
  /// is writable for other users than the owner.
  ///
  ///     holdfast/     0700, with a group 0710   members enter, to open their own files
  ///     ready/        0700
  ///     filling/      0700
  ///     leased/       0700, with a group 0710   has a folder for each user
  ///
  /// - Parameters:
  ///   - mount: a mounted hugetlbfs, or a folder on tmpfs, to which only root or the caller may
  ///     write.
  ///   - owner: the ID of the user who fills and recycles; nil for the calling user.
  ///   - group: the ID of the group whose members may lease from the service, which then must run
  ///     as root; nil for the present group of an existing reservoir, and for none in a new one.
  /// - Returns: the reservoir, opened.
  /// - Throws: ``HoldfastError`` with the code `busy` where the reservoir has files and the call
  ///   would change their owner, `noReservoir` where the mount is neither hugetlbfs nor tmpfs,
  ///   `untrusted` where another user owns one of the folders or may write to the mount,
  ///   `notPermitted`, or `host`.
  public static func create(
    mount: String, owner: UInt32? = nil, group: UInt32? = nil
  ) throws(HoldfastError) -> Reservoir {
    let operation = "create a reservoir in \(mount)"
    let owner = owner ?? geteuid()
    let place = try during(
      operation, "cannot open the folder", advice: .other("a folder on hugetlbfs or tmpfs")
    ) { () throws(Errno) in try Folder.open(path: mount) }
    let (system, status) = try during(operation, "cannot stat the folder") { () throws(Errno) in
      (try place.fileSystem(), try place.status())
    }
    guard system.kind != .other else {
      throw HoldfastError(
        .noReservoir, operation: operation, reason: "it is on neither hugetlbfs nor tmpfs",
        advice: .other("a mount of hugetlbfs"))
    }
    if let problem = FolderTrust.problem(mount: status, ownedBy: owner)
      ?? FolderTrust.problem(above: mount)
    {
      throw HoldfastError(
        .untrusted, operation: operation, reason: problem,
        advice: .other("a mount that only root may write to"))
    }
    let top = try make(folderName, in: place, mount, owner: owner, operation)
    let group = try checkFiles(top, owner: owner, group: group, operation)
    let entered: UInt32 = group == nil ? 0o700 : 0o710
    for (name, permissions) in [("filling", 0o700), ("ready", 0o700), ("leased", entered)] {
      let folder = try make(name, in: top, mount + "/" + folderName, owner: owner, operation)
      try set(folder, name, owner, group, permissions, operation)
    }
    // Last, so that no other user gets in before the folders are complete.
    try set(top, folderName, owner, group, entered, operation)
    return try Reservoir(mount: mount)
  }

  /// Determines the group, and refuses a change of the owner that would make existing files
  /// unusable.
  private static func checkFiles(
    _ top: Folder, owner: UInt32, group: UInt32?, _ operation: String
  ) throws(HoldfastError) -> UInt32? {
    guard let ready = try? top.folder("ready"), let found = try? top.status() else {
      return group
    }
    guard found.owner != owner else {
      return group ?? (found.permissions & 0o010 != 0 ? found.group : nil)
    }
    let isEmpty = (try? ready.names(atMost: 1))?.names.isEmpty == true
    // A folder that cannot be read may have leases.
    var hasLeases = false
    do throws(Errno) {
      let leased = try top.folder("leased")
      for name in try leased.names(atMost: mostNames).names
      where try !leased.folder(name).names(atMost: 1).names.isEmpty {
        hasLeases = true
      }
    } catch {
      hasLeases = error != .noSuchFileOrDirectory
    }
    // Templates belong to the owner too (`TemplateStore`).
    for name in ["sealed", "drafts"] {
      let folder = try? top.folder("templates").folder(name)
      if let folder, (try? folder.names(atMost: 1).names.isEmpty) == false { hasLeases = true }
    }
    guard isEmpty, !hasLeases else {
      throw HoldfastError(
        .busy, operation: operation,
        reason: "the reservoir has files, which belong to user \(found.owner)",
        advice: .keepOwner(found.owner))
    }
    return group
  }

  private static func make(
    _ name: String, in folder: Folder, _ parent: String, owner: UInt32, _ operation: String
  ) throws(HoldfastError) -> Folder {
    do throws(Errno) {
      try folder.makeFolder(name, permissions: 0o700)
    } catch {
      guard error == .fileExists else {
        throw HoldfastError(
          errno: error, operation: operation, reason: "cannot create the folder '\(name)'",
          advice: error == .permissionDenied ? .becomeRoot : nil)
      }
    }
    let problem = "cannot open '\(name)' as a folder"
    let made = try during(operation, problem) { () throws(Errno) in try folder.folder(name) }
    let status = try during(operation, problem) { () throws(Errno) in try made.status() }
    guard status.owner == geteuid() || status.owner == owner else {
      throw HoldfastError(
        .untrusted, operation: operation,
        reason: "user \(status.owner) owns the folder '\(name)', which exists",
        advice: .inspectAndRemove(path: parent + "/" + name))
    }
    return made
  }

  private static func set(
    _ folder: Folder, _ name: String, _ owner: UInt32, _ group: UInt32?, _ permissions: UInt32,
    _ operation: String
  ) throws(HoldfastError) {
    try during(
      operation, "cannot set the owner and permissions of '\(name)'", advice: .becomeRoot
    ) { () throws(Errno) in
      let status = try folder.status()
      let group = group ?? status.group
      if status.owner != owner || status.group != group { try folder.setOwner(owner, group: group) }
      try folder.setPermissions(permissions)
    }
  }
}
