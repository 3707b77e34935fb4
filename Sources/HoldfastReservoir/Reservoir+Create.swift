internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Makes the folders of a reservoir, or sets the owner and permissions of those that are there.
  ///
  ///     holdfast/   0700, with a group 0750     others get nowhere
  ///     ready/      0700, with a group 0770     to lease is to rename out of it
  ///     leased/     0700, with a group 1770     a folder of his own for each user, whom nobody follows
  ///     filling/    0700
  ///
  /// Of an owner who is not root `holdfast` and `filling` are set-group-id: what is made there is the group's
  /// from the start, so that he need not be a member of it.
  ///
  /// - Parameters:
  ///   - mount: a mounted hugetlbfs, or a folder on tmpfs.
  ///   - owner: who fills and recycles, by number; nil for the caller.
  ///   - group: whose members may lease, by number; nil for the group that is set already, else for the owner
  ///     alone.
  /// - Throws: ``HoldfastError``: `inUse` where another owner or group is asked for than the one that files
  ///   are there of.
  public static func create(
    mount: String, owner: UInt32? = nil, group: UInt32? = nil
  ) throws(HoldfastError) -> Reservoir {
    let operation = "make a reservoir in \(mount)"
    let owner = owner ?? geteuid()
    let place = try during(
      operation, "that folder cannot be opened", advice: .other("a folder on hugetlbfs or tmpfs")
    ) { () throws(Errno) in try Folder.open(path: mount) }
    let system = try during(operation, "it tells nothing of its file system") { () throws(Errno) in
      try place.fileSystem()
    }
    guard system.kind != .other else {
      throw HoldfastError(
        .noReservoir, operation: operation, reason: "that is neither hugetlbfs nor tmpfs",
        advice: .other("a mount of hugetlbfs"))
    }
    let top = try make(folderName, in: place, owner: owner, operation)
    let group = try checkFiles(top, owner: owner, group: group, operation)
    let inherits: UInt32 = group != nil && owner != 0 ? 0o2000 : 0
    let folders: [(name: String, permissions: UInt32)] = [
      ("filling", 0o700 | inherits), ("ready", group == nil ? 0o700 : 0o770),
      ("leased", group == nil ? 0o700 : 0o1770),
    ]
    for (name, permissions) in folders {
      let folder = try make(name, in: top, owner: owner, operation)
      try set(folder, name, owner, group, permissions, operation)
    }
    // Last, so that nobody gets in before all is as it should be.
    try set(top, folderName, owner, group, group == nil ? 0o700 : 0o750 | inherits, operation)
    return try Reservoir(mount: mount)
  }

  /// Finds out what group there is to be, and refuses to make files unusable that are there.
  private static func checkFiles(
    _ top: Folder, owner: UInt32, group: UInt32?, _ operation: String
  ) throws(HoldfastError) -> UInt32? {
    guard let ready = try? top.folder("ready"), let found = try? ready.status() else {
      return group
    }
    let before = found.permissions & 0o020 != 0 ? found.group : nil
    func refuse(_ reason: String, _ advice: Advice) throws(HoldfastError) {
      let isEmpty = (try? ready.names())?.isEmpty == true
      // What cannot be looked into may hold anything.
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
        .busy, operation: operation, reason: "there are files, and \(reason)",
        advice: advice)
    }
    if found.owner != owner {
      try refuse(
        "they are user \(found.owner)'s", .keepOwner(found.owner, group: before))
      return group
    }
    guard let group, group != before else { return before }
    try refuse(
      before.map { "they are for group \($0)" } ?? "they are for the owner alone",
      .keepOwner(found.owner, group: before))
    return group
  }

  private static func make(
    _ name: String, in folder: Folder, owner: UInt32, _ operation: String
  ) throws(HoldfastError) -> Folder {
    do throws(Errno) {
      try folder.makeFolder(name, permissions: 0o700)
    } catch {
      guard error == .fileExists else {
        throw HoldfastError(
          errno: error, operation: operation, reason: "the folder '\(name)' cannot be made",
          advice: error == .permissionDenied ? .becomeRoot : nil)
      }
    }
    let what = "'\(name)' cannot be opened as a folder"
    let made = try during(operation, what) { () throws(Errno) in try folder.folder(name) }
    let status = try during(operation, what) { () throws(Errno) in try made.status() }
    guard status.owner == geteuid() || status.owner == owner else {
      throw HoldfastError(
        .untrusted, operation: operation,
        reason: "there is a folder '\(name)' of user \(status.owner)",
        advice: .inspectAndRemove(path: "\(name)"))
    }
    return made
  }

  private static func set(
    _ folder: Folder, _ name: String, _ owner: UInt32, _ group: UInt32?, _ permissions: UInt32,
    _ operation: String
  ) throws(HoldfastError) {
    try during(
      operation, "the owner and permissions of '\(name)' cannot be set", advice: .other("sudo")
    ) { () throws(Errno) in
      let status = try folder.status()
      let group = group ?? status.group
      if status.owner != owner || status.group != group { try folder.setOwner(owner, group: group) }
      try folder.setPermissions(permissions)
    }
  }
}
