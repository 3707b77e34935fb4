internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// Where reservoirs are on this host, and where they can be.
public enum ReservoirMounts {
  /// The mounts of hugetlbfs that have a reservoir, as far as this user can tell.
  public static func reservoirs() -> [String] {
    // A mount can be seen in several places, and is one reservoir.
    var seen: Set<FileStatus.Identity> = []
    return mounts().filter { mount in
      guard let status = reservoirFolder(mount) else { return false }
      return seen.insert(status.identity).inserted
    }
  }

  /// The mount whose reservoir a command without further ado means: the only one.
  ///
  /// - Throws: ``HoldfastError`` where there is none, or more than one.
  public static func only() throws(HoldfastError) -> String {
    let found = reservoirs()
    if found.count == 1 { return found[0] }
    throw HoldfastError(
      .noReservoir, operation: "find the reservoir",
      reason: found.isEmpty
        ? "no mount of hugetlbfs has one"
        : "there are several: " + found.joined(separator: ", "),
      advice: found.isEmpty ? .createReservoir(mount: nil) : .chooseReservoir(found))
  }

  /// A mount to make a reservoir in: that of a path, mounted where it is not, or the first of the page
  /// size, mounted below `/run/holdfast` where there is none.
  ///
  /// - Parameters:
  ///   - path: nil to find one. A folder on tmpfs does as it is where no page size is given.
  ///   - pageSize: that of the huge pages; nil for any, 2 MiB for a new mount.
  public static func prepare(
    path: String?, pageSize: ByteCount?
  ) throws(HoldfastError) -> (mount: String, isNew: Bool) {
    let operation = "make a reservoir"
    guard let path else {
      for mount in mounts() {
        if let found = try? Folder.open(path: mount).fileSystem(), found.kind == .hugetlbfs,
          pageSize == nil || found.pageSize == pageSize
        {
          return (mount, false)
        }
      }
      let size = pageSize ?? .mebibytes(2)
      try makeFolder("/run/holdfast", operation)
      let new = "/run/holdfast/hugepages-\(size.shortDescription)"
      try makeFolder(new, operation)
      try mount(new, size, operation)
      return (new, true)
    }
    try makeFolder(path, operation)
    let system = try during(operation, "\(path) cannot be opened") { () throws(Errno) in
      try Folder.open(path: path).fileSystem()
    }
    switch system.kind {
    case .hugetlbfs:
      guard pageSize == nil || system.pageSize == pageSize else {
        throw HoldfastError(
          .invalidArgument, operation: operation,
          reason: "\(path) has huge pages of \(system.pageSize), not of \(pageSize ?? .zero)",
          advice: .other("another mount"))
      }
      return (path, false)
    case .tmpfs where pageSize == nil:
      return (path, false)
    case .tmpfs, .other:
      try mount(path, pageSize ?? .mebibytes(2), operation)
      return (path, true)
    }
  }

  /// All mounts of hugetlbfs, in the order in which they were mounted.
  private static func mounts() -> [String] {
    HugetlbMounts.paths()
  }

  private static func reservoirFolder(_ mount: String) -> FileStatus? {
    guard let folder = try? Folder.open(path: mount),
      let status = try? folder.status(Reservoir.folderName), status.isFolder
    else { return nil }
    return status
  }

  private static func makeFolder(_ path: String, _ operation: String) throws(HoldfastError) {
    do throws(Errno) {
      try Folder.make(path: path)
    } catch {
      guard error == .fileExists else {
        throw HoldfastError(
          errno: error, operation: operation, reason: "the folder \(path) cannot be made",
          advice: error == .permissionDenied ? .becomeRoot : nil)
      }
    }
  }

  private static func mount(
    _ path: String, _ pageSize: ByteCount, _ operation: String
  ) throws(HoldfastError) {
    _ = try HugePagePool(size: pageSize).counts()
    let names = try during(operation, "\(path) cannot be read") { () throws(Errno) in
      try Folder.open(path: path).names()
    }
    guard names.isEmpty else {
      throw HoldfastError(
        .noReservoir, operation: operation,
        reason: "\(path) is neither hugetlbfs nor empty, so that none can be mounted there",
        advice: .other("an empty folder"))
    }
    try during(
      operation, "hugetlbfs cannot be mounted in \(path)", advice: .other("sudo")
    ) { () throws(Errno) in
      try HugetlbMounts.mount(path, pageSize: pageSize)
    }
  }
}
