internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Creates the folders of a reservoir, or sets the owner and permissions of existing ones.
  ///
  ///     holdfast/   0700, with a group 0750   keeps all other users out
  ///     ready/      0700, with a group 0770   a lease renames a file out of it
  ///     leased/     0700, with a group 1770   has a folder for each user, private to that user
  ///     filling/    0700
  ///
  /// Where the owner is not root, `holdfast` and `filling` are set-group-ID: files and folders that
  /// the owner creates there belong to the group, although the owner need not be a member.
  ///
  /// - Parameters:
  ///   - mount: a mounted hugetlbfs, or a folder on tmpfs.
  ///   - owner: the ID of the user who fills and recycles; nil for the calling user.
  ///   - group: the ID of the group whose members may lease; nil for the present group of an
  ///     existing reservoir, and for none in a new one.
  /// - Returns: the reservoir, opened.
  /// - Throws: ``HoldfastError`` with the code `busy` where the reservoir has files and the call
  ///   would change their owner or group, `noReservoir` where the mount is neither hugetlbfs nor
  ///   tmpfs, `untrusted` where another user owns one of the folders, `notPermitted`, or `host`.
  public static func create(
    mount: String, owner: UInt32? = nil, group: UInt32? = nil
  ) throws(HoldfastError) -> Reservoir {
    let operation = "create a reservoir in \(mount)"
    let owner = owner ?? geteuid()
    let place = try during(
      operation, "cannot open the folder", advice: .other("a folder on hugetlbfs or tmpfs")
    ) { () throws(Errno) in try Folder.open(path: mount) }
    let system = try during(operation, "cannot stat the file system") { () throws(Errno) in
      try place.fileSystem()
    }
    guard system.kind != .other else {
      throw HoldfastError(
        .noReservoir, operation: operation, reason: "it is on neither hugetlbfs nor tmpfs",
        advice: .other("a mount of hugetlbfs"))
    }
    let top = try make(folderName, in: place, mount, owner: owner, operation)
    let group = try checkFiles(top, owner: owner, group: group, operation)
    let inherits: UInt32 = group != nil && owner != 0 ? 0o2000 : 0
    let folders: [(name: String, permissions: UInt32)] = [
      ("filling", 0o700 | inherits), ("ready", group == nil ? 0o700 : 0o770),
      ("leased", group == nil ? 0o700 : 0o1770),
    ]
    for (name, permissions) in folders {
      let folder = try make(name, in: top, mount + "/" + folderName, owner: owner, operation)
      try set(folder, name, owner, group, permissions, operation)
    }
    // Last, so that no other user gets in before the folders are complete.
    try set(top, folderName, owner, group, group == nil ? 0o700 : 0o750 | inherits, operation)
    return try Reservoir(mount: mount)
  }

  /// Determines the group, and refuses a change that would make existing files unusable.
  private static func checkFiles(
    _ top: Folder, owner: UInt32, group: UInt32?, _ operation: String
  ) throws(HoldfastError) -> UInt32? {
    guard let ready = try? top.folder("ready"), let found = try? ready.status() else {
      return group
    }
    let before = found.permissions & 0o020 != 0 ? found.group : nil
    func refuse(_ reason: String, _ advice: Advice) throws(HoldfastError) {
      let isEmpty = (try? ready.names())?.isEmpty == true
      // A folder that cannot be read may have leases.
      var hasLeases = false
      do throws(Errno) {
        let leased = try top.folder("leased")
        for name in try leased.names() where try !leased.folder(name).names().isEmpty {
          hasLeases = true
        }
      } catch {
        hasLeases = error != .noSuchFileOrDirectory
      }
      guard !isEmpty || hasLeases else { return }
      throw HoldfastError(
        .busy, operation: operation, reason: "the reservoir has files, which \(reason)",
        advice: advice)
    }
    if found.owner != owner {
      try refuse(
        "belong to user \(found.owner)", .keepOwner(found.owner, group: before))
      return group
    }
    guard let group, group != before else { return before }
    try refuse(
      before.map { "are for group \($0)" } ?? "are for the owner alone",
      .keepOwner(found.owner, group: before))
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
