internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// The places on this host that have a reservoir, or can have one.
public enum ReservoirMounts {
  /// The mount points of hugetlbfs with a reservoir that this user can trust, in the order of
  /// mounting: of root, of the user, or of another user on a mount of root's. A file system that is
  /// mounted at several places is listed once. Empty where /proc/self/mountinfo cannot be read.
  public static func reservoirs() -> [String] {
    // A file system can be mounted at several places, and is one reservoir.
    var seen: Set<FileStatus.Identity> = []
    return (HugetlbMounts.paths() ?? []).filter { mount in
      guard let folder = try? Folder.open(path: mount), let place = try? folder.status(),
        let status = try? folder.status(Reservoir.folderName), status.isFolder,
        FolderTrust.problem(mount: place, ownedBy: status.owner) == nil,
        FolderTrust.problem(above: mount) == nil
      else { return false }
      return seen.insert(status.identity).inserted
    }
  }

  /// The mount point of the host's only reservoir.
  ///
  /// - Throws: ``HoldfastError`` with the code `noReservoir` where there is none, or more than one;
  ///   the advice lists them.
  public static func only() throws(HoldfastError) -> String {
    try only(of: reservoirs())
  }

  static func only(of found: [String]) throws(HoldfastError) -> String {
    if found.count == 1 { return found[0] }
    if found.isEmpty { _ = try all("find the reservoir") }
    throw HoldfastError(
      .noReservoir, operation: "find the reservoir",
      reason: found.isEmpty
        ? "no mounted hugetlbfs has one"
        : "several mounts have one: " + found.joined(separator: ", "),
      advice: found.isEmpty ? .createReservoir(mount: nil) : .chooseReservoir(found))
  }

  /// All mount points of hugetlbfs.
  private static func all(_ operation: String) throws(HoldfastError) -> [String] {
    if let paths = HugetlbMounts.paths() { return paths }
    throw HoldfastError(
      .noReservoir, operation: operation, reason: "\(HugetlbMounts.list) cannot be read",
      advice: .chooseReservoir([]))
  }

  /// Finds a mount point for a new reservoir, or mounts hugetlbfs where none suits, which needs
  /// root.
  ///
  /// - Parameters:
  ///   - path: a mounted hugetlbfs, which is used as it is; a folder on tmpfs, used as it is where
  ///     `pageSize` is nil; or an empty folder, on which hugetlbfs is mounted. Nil for the best
  ///     mounted hugetlbfs with that page size to which only root or the caller may write: one that
  ///     has a reservoir, then one whose pool has pages, then one of the default page size. Nil also
  ///     makes a new mount below `/run/holdfast` without such mounts, or if all pools are empty
  ///     except that of 2 MiB and the caller is root.
  ///   - pageSize: the size of the huge pages; nil for any, and for 2 MiB in a new mount.
  /// - Returns: the mount point, whether the call has mounted it, and why it was chosen, nil for a
  ///   path that the caller named.
  /// - Throws: ``HoldfastError`` with the code `invalidArgument` where the mount has another page
  ///   size, `noReservoir` where the folder is not empty, `notPermitted` or `host`.
  public static func prepare(
    path: String?, pageSize: ByteCount?
  ) throws(HoldfastError) -> (mount: String, isNew: Bool, reason: String?) {
    let operation = "create a reservoir"
    guard let path else {
      let choice = MountChoice(HostProbe().host())
      let candidates = candidates(try all(operation), pageSize)
      let size = pageSize ?? .mebibytes(2)
      if let (best, reason) = choice.best(
        of: candidates, newSize: pageSize == nil && geteuid() == 0 ? size : nil)
      {
        return (best.path, false, reason)
      }
      try makeFolder("/run/holdfast", operation)
      let new = "/run/holdfast/hugepages-\(size.shortDescription)"
      try makeFolder(new, operation)
      try mount(new, size, operation)
      let reason =
        candidates.isEmpty
        ? "no suitable hugetlbfs was mounted"
        : "the pool of \(size) pages is not empty; not taken: " + choice.describe(candidates)
      return (new, true, reason)
    }
    try makeFolder(path, operation)
    let system = try during(operation, "cannot open \(path)") { () throws(Errno) in
      try Folder.open(path: path).fileSystem()
    }
    switch system.kind {
    case .hugetlbfs:
      guard pageSize == nil || system.pageSize == pageSize else {
        throw HoldfastError(
          .invalidArgument, operation: operation,
          reason: "the huge pages of \(path) have \(system.pageSize), not \(pageSize ?? .zero)",
          advice: .other("another mount"))
      }
      return (path, false, nil)
    case .tmpfs where pageSize == nil:
      return (path, false, nil)
    case .tmpfs, .other:
      try mount(path, pageSize ?? .mebibytes(2), operation)
      return (path, true, nil)
    }
  }

  /// The mounts on which the caller can create a reservoir that others cannot exchange, in the
  /// order of mounting.
  private static func candidates(
    _ mounts: [String], _ pageSize: ByteCount?
  ) -> [MountChoice.Candidate] {
    // A file system that is mounted at several places is one.
    var seen: Set<FileStatus.Identity> = []
    return mounts.compactMap { mount in
      guard let folder = try? Folder.open(path: mount), let found = try? folder.fileSystem(),
        found.kind == .hugetlbfs, pageSize == nil || found.pageSize == pageSize,
        let place = try? folder.status(), FolderTrust.problem(above: mount) == nil
      else { return nil }
      let there = try? folder.status(Reservoir.folderName)
      guard FolderTrust.problem(mount: place, ownedBy: there?.owner) == nil,
        seen.insert(place.identity).inserted
      else { return nil }
      return MountChoice.Candidate(
        path: mount, pageSize: found.pageSize, hasReservoir: there?.isFolder == true)
    }
  }

  private static func makeFolder(_ path: String, _ operation: String) throws(HoldfastError) {
    do throws(Errno) {
      try Folder.make(path: path)
    } catch {
      guard error == .fileExists else {
        throw HoldfastError(
          errno: error, operation: operation, reason: "cannot create the folder \(path)",
          advice: error == .permissionDenied ? .becomeRoot : nil)
      }
    }
  }

  private static func mount(
    _ path: String, _ pageSize: ByteCount, _ operation: String
  ) throws(HoldfastError) {
    _ = try HugePagePool(size: pageSize).counts()
    let names = try during(operation, "cannot read \(path)") { () throws(Errno) in
      try Folder.open(path: path).names(atMost: 1).names
    }
    guard names.isEmpty else {
      throw HoldfastError(
        .noReservoir, operation: operation,
        reason: "\(path) is not on hugetlbfs, and not empty, so hugetlbfs cannot be mounted on it",
        advice: .other("an empty folder"))
    }
    try during(
      operation, "cannot mount hugetlbfs on \(path)", advice: .becomeRoot
    ) { () throws(Errno) in
      try HugetlbMounts.mount(path, pageSize: pageSize)
    }
  }
}
