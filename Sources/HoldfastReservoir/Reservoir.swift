internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// Ready memory for virtual machines of other processes: files on hugetlbfs, brought in and zero, that
/// are leased by rename (illumos: the vmm reservoir).
///
/// The file system is the database. Nothing is kept in memory, no process has to run, and every step is
/// one system call that the kernel does wholly or not at all, so that a process may be killed between any
/// two of them:
///
///     <mount>/holdfast/filling/<id>               being brought in or scrubbed
///     <mount>/holdfast/ready/<size>-<id>          complete, zero, nobody's; <size>@1-<id>: of node 1
///     <mount>/holdfast/leased/<uid>/<name>        a lease until it is given back; <name>@1: of node 1
///     <mount>/holdfast/leased/<uid>/<name>.run    a lease that lasts as long as its lock is held
///     <mount>/holdfast/events                     a socket, where the service hears of operations
///
/// | state | may hold | who may move it on | what ``collect(_:)`` does |
/// |---|---|---|---|
/// | filling, locked | anything | who has its lock: to ready when complete and zero, or away | leaves it |
/// | filling, not locked | anything | nobody: its maker is dead | takes it away |
/// | ready | zeros only | any leaser, by the one rename that succeeds; `drain` | leaves it |
/// | leased, plain | a guest's memory | its user by `release`; owner or root by `recycle` | leaves it, unless asked for old ones that nobody has open |
/// | leased `.run`, locked | a guest's memory | who has its lock | leaves it |
/// | leased `.run`, not locked | a guest's memory | nobody: monitor and `holdfast run` are dead | recycles it, or takes it away |
///
/// Locks are flock(2) on the file itself, so they end with the last process that has the opened file. A
/// filler makes the file before it can lock it; who collects takes the lock before he unlinks, and a filler
/// who then finds that his file has no name any more makes another. A leased file is locked *before* it is
/// renamed, a plain one until the lease is done; so a held one is never to be found unlocked while its leaser
/// lives. The name of a lease is given, moved on and taken away only with its folder's lock, and after a look
/// that it is still that file's.
///
/// A guest's memory comes back to ready on one way only, ``recycle(_:user:otherwise:options:progress:)``:
/// locked, proven by the kernel to be open or mapped nowhere else (F_SETLEASE), moved to filling, scrubbed,
/// proven again, and renamed. Wherever that is cut short the file is in filling without a lock. What cannot
/// be proven is unlinked: the kernel frees the pages with their last mapping and zeroes them itself.
///
/// Every name is looked up in an open folder, without following links, and what is found has to be a
/// regular file of the reservoir's owner with one name and the size that its name says; all else is left
/// alone and told of.
///
/// Safe to use from any thread and process. Fills wait for each other; all else waits for no lock but a folder's
/// of leases, which others have for microseconds, and for that half a second at most.
public final class Reservoir: Sendable {
  /// Where the file system is mounted, or the folder on tmpfs.
  public let mount: String
  /// The page that the memory is made of.
  public let pageSize: ByteCount
  /// Whether the memory is of hugetlb pages; else it is on tmpfs, for tests.
  public let isHugetlb: Bool
  /// The user who fills and recycles, beside root. All ready files are his.
  public let owner: UInt32
  /// The group whose members may lease, or nil for the owner alone.
  public let group: UInt32?

  let top: Folder
  let ready: Folder
  let leased: Folder
  let observer: (@Sendable (ReservoirEvent) -> Void)?

  /// The folder in the mount that holds all others.
  static let folderName = "holdfast"

  /// Opens the reservoir in a mounted hugetlbfs, or a folder on tmpfs.
  ///
  /// - Parameter observer: told what became of operations on this object, on the thread that did them or any
  ///   other; nil to tell the reservoir's service, if one listens.
  /// - Throws: ``HoldfastError``: `noReservoir` where there is none, `untrusted` where its folders could
  ///   be somebody else's doing, `notPermitted` where this user may not lease.
  public init(
    mount: String, observer: (@Sendable (ReservoirEvent) -> Void)? = nil
  ) throws(HoldfastError) {
    let operation = "open the reservoir in \(mount)"
    let place = try Reservoir.openMount(mount, operation)
    let system = try during(operation, "it tells nothing of its file system") { () throws(Errno) in
      try place.fileSystem()
    }
    guard system.kind != .other else {
      throw HoldfastError(
        .noReservoir, operation: operation, reason: "that is neither hugetlbfs nor tmpfs",
        advice: .createReservoir(mount: mount))
    }
    let top = try Reservoir.open(Reservoir.folderName, in: place, operation)
    let ready = try Reservoir.open("ready", in: top, operation)
    let leased = try Reservoir.open("leased", in: top, operation)
    let status = try during(operation, "its folders tell nothing") { () throws(Errno) in
      (
        place: try place.status(), top: try top.status(), ready: try ready.status(),
        leased: try leased.status()
      )
    }
    self.top = top
    self.ready = ready
    self.leased = leased
    self.observer = observer
    owner = status.top.owner
    group = status.ready.permissions & 0o020 != 0 ? status.ready.group : nil
    self.mount = mount
    pageSize = system.pageSize
    isHugetlb = system.kind == .hugetlbfs

    let me = geteuid()
    for folder in [status.top, status.ready, status.leased] {
      guard folder.owner == owner, folder.permissions & 0o007 == 0 else {
        throw HoldfastError(
          .untrusted, operation: operation,
          reason: "its folders belong to several users, or all may use them",
          advice: .createReservoir(mount: mount))
      }
    }
    // Whoever owns the files can read what guests write to them.
    let isOwnersMount = status.place.owner == 0 && status.place.permissions & 0o022 == 0
    guard owner == 0 || owner == me || isOwnersMount else {
      throw HoldfastError(
        .untrusted, operation: operation,
        reason: "user \(owner) owns it, and could have made it without root's doing",
        advice: .other("a mount that only root may write to"))
    }
  }

  /// Whether this user may fill and recycle: the owner or root.
  public var isOwner: Bool {
    let me = geteuid()
    return me == 0 || me == owner
  }

  /// The folder `<mount>/holdfast`.
  public var path: String { mount + (mount.hasSuffix("/") ? "" : "/") + Reservoir.folderName }

  /// The permissions of ready files.
  var filePermissions: UInt32 { group == nil ? 0o600 : 0o660 }

  /// The group of ready files: that of the folders.
  func fileGroup() throws(Errno) -> UInt32 {
    if let group { return group }
    return try ready.status().group
  }

  /// The folder of files that are not ready, which only the owner and root can open.
  func openFilling(_ operation: String) throws(HoldfastError) -> Folder {
    guard isOwner else {
      throw HoldfastError(
        .notPermitted, operation: operation,
        reason: "only user \(owner), who owns the reservoir, and root may do that",
        advice: .becomeRoot)
    }
    let filling = try Reservoir.open("filling", in: top, operation)
    let status = try during(operation, path + "/filling tells nothing") { () throws(Errno) in
      try filling.status()
    }
    guard status.owner == owner, status.permissions & 0o077 == 0 else {
      throw HoldfastError(
        .untrusted, operation: operation, reason: path + "/filling is not the owner's alone",
        advice: .createReservoir(mount: mount))
    }
    return filling
  }

  static let initAdvice = Advice.createReservoir(mount: nil)

  private static func openMount(
    _ path: String, _ operation: String
  ) throws(HoldfastError) -> Folder {
    do throws(Errno) {
      return try Folder.open(path: path)
    } catch {
      throw HoldfastError(
        error == .permissionDenied ? .notPermitted : .noReservoir, operation: operation,
        reason: "that folder cannot be opened", errno: error.rawValue, advice: initAdvice)
    }
  }

  private static func open(
    _ name: String, in folder: Folder, _ operation: String
  ) throws(HoldfastError) -> Folder {
    do throws(Errno) {
      return try folder.folder(name)
    } catch {
      switch error {
      case .noSuchFileOrDirectory:
        throw HoldfastError(
          .noReservoir, operation: operation, reason: "there is no folder '\(name)'",
          advice: initAdvice)
      case .permissionDenied:
        throw HoldfastError(
          .notPermitted, operation: operation,
          reason: "this user is not a member of the group that may lease", errno: error.rawValue,
          advice: .joinGroup)
      default:
        throw HoldfastError(
          .untrusted, operation: operation, reason: "'\(name)' is no folder",
          errno: error.rawValue, advice: initAdvice)
      }
    }
  }
}
