internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// Memory kept ready for virtual machine monitors in other processes: populated, zeroed files on
/// hugetlbfs that are leased by rename (illumos: the vmm reservoir).
///
/// The file system is the database. The object keeps nothing in memory, no process has to run, and
/// every step is one system call, which the kernel performs completely or not at all. A process may
/// therefore be killed between any two steps:
///
///     <mount>/holdfast/filling/<id>               being populated or scrubbed
///     <mount>/holdfast/ready/<size>-<id>          complete and zero; <size>@1-<id>: node 1
///     <mount>/holdfast/leased/<uid>/<name>        a lease until it is returned; <name>@1: node 1
///     <mount>/holdfast/leased/<uid>/<name>.run    a lease that lasts as long as its lock is held
///     <mount>/holdfast/events                     the socket on which the service receives events
///
/// | state | contents | leaves the state by | ``collect(_:cancellation:progress:)`` |
/// |---|---|---|---|
/// | filling, locked | anything | its process: to ready, or unlinked | skips it |
/// | filling, unlocked | anything | (its process is dead) | unlinks it |
/// | ready | zeros | the one lease whose rename(2) succeeds; `drain` | skips it |
/// | leased, plain | a guest's memory | `release` (its user), `recycle` (owner, root) | see below |
/// | leased `.run`, locked | a guest's memory | the process that has its lock | skips it |
/// | leased `.run`, unlocked | a guest's memory | (its processes are dead) | recycles it |
///
/// A collection unlinks what it cannot recycle. It skips plain leases, except on request those of
/// an age that no process has open.
///
/// Locks are flock(2) locks of the files themselves, so a lock ends with the last process that has
/// the file open. A fill creates a file before it can lock it. A collection locks a file before it
/// unlinks it, and a fill whose file has lost its name creates another. A file is locked *before*
/// the rename that leases it, a plain lease only until the call returns; so no other process ever
/// finds a held lease unlocked while its leaser lives. The name of a lease is created, moved and
/// removed only with the lock of its folder held, after a check that the name still refers to the
/// same file.
///
/// A guest's memory becomes ready in one way only, by
/// ``recycle(_:user:otherwise:options:progress:)``: the file is locked, proven by the kernel to be
/// neither open nor mapped elsewhere (F_SETLEASE), moved to filling, scrubbed, proven again, and
/// renamed. An interruption leaves the file in filling without a lock. A file without that proof is
/// unlinked: the kernel frees the pages with their last mapping and zeroes them itself.
///
/// Every name is looked up in an open folder, without following links. The file must be a regular
/// file of the reservoir's owner, with one name, and with the size that its name states; all others
/// are left alone and reported.
///
/// A reservoir is safe to use from any thread and process. Fills wait for each other. Other calls
/// wait only for the lock of a folder of leases, which is held for microseconds, and for at most
/// half a second.
public final class Reservoir: Sendable {
  /// The mount point of the file system, or the folder on tmpfs.
  public let mount: String
  /// The size of the pages that the memory consists of.
  public let pageSize: ByteCount
  /// Whether the memory consists of huge pages on hugetlbfs. Otherwise it is on tmpfs, for tests.
  public let isHugetlb: Bool
  /// The ID of the user who, like root, may fill and recycle, and who owns all ready files.
  public let owner: UInt32
  /// The ID of the group whose members may lease, or nil where only the owner and root may.
  public let group: UInt32?

  let top: Folder
  let ready: Folder
  let leased: Folder
  let observer: (@Sendable (ReservoirEvent) -> Void)?

  /// The folder in the mount that contains all others.
  static let folderName = "holdfast"

  /// Opens the reservoir on a mounted hugetlbfs, or in a folder on tmpfs.
  ///
  /// - Parameters:
  ///   - mount: the mount point, or the folder.
  ///   - observer: receives the events of this object's operations, on any thread. Where it is nil,
  ///     they are sent to the reservoir's service, if one listens.
  /// - Throws: ``HoldfastError`` with the code `noReservoir` where the mount has none, `untrusted`
  ///   where a user other than its owner and root may have created or changed it, `notPermitted`
  ///   where this user may not lease, or `host`.
  public init(
    mount: String, observer: (@Sendable (ReservoirEvent) -> Void)? = nil
  ) throws(HoldfastError) {
    let operation = "open the reservoir in \(mount)"
    let place = try Reservoir.openMount(mount, operation)
    let system = try during(operation, "cannot stat the file system") { () throws(Errno) in
      try place.fileSystem()
    }
    guard system.kind != .other else {
      throw HoldfastError(
        .noReservoir, operation: operation, reason: "it is on neither hugetlbfs nor tmpfs",
        advice: .other("a folder on hugetlbfs or tmpfs"))
    }
    let top = try Reservoir.open(Reservoir.folderName, in: place, operation)
    let ready = try Reservoir.open("ready", in: top, operation)
    let leased = try Reservoir.open("leased", in: top, operation)
    let status = try during(operation, "cannot stat its folders") { () throws(Errno) in
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

    let caller = geteuid()
    for folder in [status.top, status.ready, status.leased] {
      guard folder.owner == owner, folder.permissions & 0o007 == 0 else {
        throw HoldfastError(
          .untrusted, operation: operation,
          reason: "its folders have different owners or allow access to all users",
          advice: .createReservoir(mount: mount))
      }
    }
    // The owner of the files can read what guests write to them.
    let isRootsMount = status.place.owner == 0 && status.place.permissions & 0o022 == 0
    guard owner == 0 || owner == caller || isRootsMount else {
      throw HoldfastError(
        .untrusted, operation: operation,
        reason: "user \(owner) owns it, and "
          + (status.place.owner == 0
            ? "users other than root may write to the mount"
            : "the mount is not owned by root") + ", so the reservoir cannot be trusted",
        advice: .other("a mount that only root may write to"))
    }
  }

  /// Whether this user may fill and recycle: the owner or root.
  public var isOwner: Bool {
    let caller = geteuid()
    return caller == 0 || caller == owner
  }

  /// The reservoir's folder, `<mount>/holdfast`.
  public var path: String { mount + (mount.hasSuffix("/") ? "" : "/") + Reservoir.folderName }

  /// The permissions of ready files.
  var filePermissions: UInt32 { group == nil ? 0o600 : 0o660 }

  /// The group of ready files, which is that of the folders.
  func fileGroup() throws(Errno) -> UInt32 {
    if let group { return group }
    return try ready.status().group
  }

  /// The folder of files that are not ready yet, which only the owner and root can open.
  func openFilling(_ operation: String) throws(HoldfastError) -> Folder {
    guard isOwner else {
      throw HoldfastError(
        .notPermitted, operation: operation,
        reason: "only user \(owner), who owns the reservoir, and root may do that",
        advice: .becomeRoot)
    }
    let filling = try Reservoir.open("filling", in: top, operation)
    let status = try during(operation, "cannot stat \(path)/filling") { () throws(Errno) in
      try filling.status()
    }
    guard status.owner == owner, status.permissions & 0o077 == 0 else {
      throw HoldfastError(
        .untrusted, operation: operation,
        reason: "users other than the owner may access \(path)/filling",
        advice: .createReservoir(mount: mount))
    }
    return filling
  }

  private static func openMount(
    _ path: String, _ operation: String
  ) throws(HoldfastError) -> Folder {
    do throws(Errno) {
      return try Folder.open(path: path)
    } catch {
      throw HoldfastError(
        error == .permissionDenied ? .notPermitted : .noReservoir, operation: operation,
        reason: "the folder does not open", errno: error.rawValue,
        advice: .other("a folder on hugetlbfs or tmpfs with a reservoir"))
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
          .noReservoir, operation: operation, reason: "it has no folder '\(name)'",
          advice: .createReservoir(mount: nil))
      case .permissionDenied:
        throw HoldfastError(
          .notPermitted, operation: operation,
          reason: "this user may not enter its folder '\(name)'", errno: error.rawValue,
          advice: .joinGroup)
      default:
        throw HoldfastError(
          .untrusted, operation: operation, reason: "'\(name)' is not a folder",
          errno: error.rawValue, advice: .createReservoir(mount: nil))
      }
    }
  }
}
