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
///     <mount>/holdfast/filling/<id>               being populated, extended or scrubbed
///     <mount>/holdfast/ready/<size>-<id>          complete and zero; <size>@1-<id>: node 1
///     <mount>/holdfast/leased/<uid>/<name>        a lease until it is returned; <name>@1: node 1
///     <mount>/holdfast/leased/<uid>/<name>.run    a lease that lasts as long as its lock is held
///     <mount>/holdfast/quarantine/<id>            what was in ready and must not be leased
///     <mount>/holdfast/events                     the socket on which the service receives events
///     <mount>/holdfast/socket                     the socket from which other users lease
///
/// Only the owner and root write to the folders, so only they use this class. Other users lease
/// from the service, by ``ReservoirClient``; what they lease becomes their file, in a folder that
/// they may enter and not change.
///
/// | state | contents | leaves the state by | ``collect(_:cancellation:progress:)`` |
/// |---|---|---|---|
/// | filling, locked | anything | its process: to ready or, extended by a lease, to leased; or unlinked | skips it |
/// | filling, unlocked | anything | (its process is dead) | unlinks it |
/// | ready | zeros | the one lease whose rename(2) succeeds; `drain` | skips it |
/// | leased, plain | a guest's memory | `release`, `recycle` | see below |
/// | leased `.run`, locked | a guest's memory | the process that has its lock | skips it |
/// | leased `.run`, unlocked | a guest's memory | (its processes are dead) | recycles it |
/// | quarantine | anything | `drain` | skips it |
///
/// A collection unlinks what it cannot recycle. It skips plain leases, except on request those of
/// an age that no process has open. It also skips the leases of other users than the owner and root
/// while a process has them open, since they count towards the limits of their users.
///
/// Locks are flock(2) locks of the files themselves, so a lock ends with the last process that has
/// the file open. A fill creates a file before it can lock it. A collection locks a file before it
/// unlinks it, and a fill whose file has lost its name creates another. A file is locked *before*
/// the rename that leases it, a plain lease only until the call returns; so no other process ever
/// finds a held lease unlocked while its leaser lives. The name of a lease is created, moved and
/// removed only with the lock of its folder held, after a check that the name still refers to the
/// same file.
///
/// The memory of a lease goes back to the kernel: the file is unlinked, and the kernel frees the
/// pages with their last reference, of whatever kind, and zeroes them itself. Only the memory of
/// the owner's own monitors may become ready again in place, on request (``Reuse/scrub``): the file
/// is locked, proven by the kernel to be neither open nor mapped elsewhere (F_SETLEASE), moved to
/// filling, scrubbed, proven again, and renamed. An interruption leaves the file in filling without
/// a lock. The proof covers no pages that a process has pinned, such as those of a fixed buffer of
/// io_uring(7), hence the request.
///
/// Every name is looked up in an open folder, without following links. A ready file must be a
/// regular file of the reservoir's owner, for the owner alone, with one name, with the size that
/// its name states and with memory for all of it. Any other is moved to quarantine by the next
/// lease or collection, reported, and never leased.
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
  /// The ID of the user who, like root, may use the folders, and who owns all ready files.
  public let owner: UInt32
  /// The ID of the group whose members may lease from the service, or nil.
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
  ///   where this user is neither, or `host`.
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
    let mountStatus = try during(operation, "cannot stat the folder") { () throws(Errno) in
      try place.status()
    }
    let caller = geteuid()
    // By its name: other users may not open the folder.
    if let status = try? place.status(Reservoir.folderName), status.isFolder,
      caller != 0, caller != status.owner
    {
      throw HoldfastError(
        .notPermitted, operation: operation,
        reason: "only user \(status.owner), who owns the reservoir, and root may do that",
        advice: .becomeRoot)
    }
    let top = try Reservoir.open(Reservoir.folderName, in: place, operation)
    let found = try during(operation, "cannot stat its folders") { () throws(Errno) in
      try top.status()
    }
    if let problem = FolderTrust.problem(mount: mountStatus, ownedBy: found.owner)
      ?? FolderTrust.problem(above: mount)
    {
      throw HoldfastError(
        .untrusted, operation: operation, reason: problem,
        advice: .other("a mount that only root may write to"))
    }
    let ready = try Reservoir.open("ready", in: top, operation)
    let leased = try Reservoir.open("leased", in: top, operation)
    let status = try during(operation, "cannot stat its folders") { () throws(Errno) in
      (ready: try ready.status(), leased: try leased.status())
    }
    self.top = top
    self.ready = ready
    self.leased = leased
    self.observer = observer
    owner = found.owner
    group = found.permissions & 0o010 != 0 ? found.group : nil
    self.mount = mount
    pageSize = system.pageSize
    isHugetlb = system.kind == .hugetlbfs

    // Others may at most enter, to open a file of theirs.
    guard found.permissions & 0o027 == 0, status.leased.permissions & 0o027 == 0,
      status.ready.permissions & 0o077 == 0,
      status.ready.owner == owner, status.leased.owner == owner
    else {
      throw HoldfastError(
        .untrusted, operation: operation,
        reason: "its folders have different owners or allow access to other users",
        advice: .createReservoir(mount: mount))
    }
  }

  /// The reservoir's folder, `<mount>/holdfast`.
  public var path: String { Reservoir.path(mount: mount) }

  static func path(mount: String) -> String {
    mount + (mount.hasSuffix("/") ? "" : "/") + folderName
  }

  /// The folder of files that are not ready yet.
  func openFilling(_ operation: String) throws(HoldfastError) -> Folder {
    try openPrivate("filling", operation)
  }

  /// A folder that only the owner and root can open.
  private func openPrivate(
    _ name: String, _ operation: String
  ) throws(HoldfastError) -> Folder {
    let folder = try Reservoir.open(name, in: top, operation)
    let status = try during(operation, "cannot stat \(path)/\(name)") { () throws(Errno) in
      try folder.status()
    }
    guard status.owner == owner, status.permissions & 0o077 == 0 else {
      throw HoldfastError(
        .untrusted, operation: operation,
        reason: "users other than the owner may access \(path)/\(name)",
        advice: .createReservoir(mount: mount))
    }
    return folder
  }

  /// The folder of what was put aside, created where it is missing.
  func openQuarantine(_ operation: String) throws(HoldfastError) -> Folder {
    try during(operation, "cannot create \(path)/quarantine") { () throws(Errno) in
      do throws(Errno) {
        try top.makeFolder("quarantine", permissions: 0o700)
        let folder = try top.folder("quarantine")
        if try folder.status().owner != owner {
          try folder.setOwner(owner, group: try ready.status().group)
        }
      } catch {
        if error != .fileExists { throw error }
      }
    }
    return try openPrivate("quarantine", operation)
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
          advice: .becomeRoot)
      default:
        throw HoldfastError(
          .untrusted, operation: operation, reason: "'\(name)' is not a folder",
          errno: error.rawValue, advice: .createReservoir(mount: nil))
      }
    }
  }
}
