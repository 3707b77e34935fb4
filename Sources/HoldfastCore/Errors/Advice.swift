/// What a user or a program can do about an error.
///
/// A value, not a sentence, so that a program can act on it and put it into its own words: the
/// program `holdfast` makes options and commands of it. `description` is for people without these.
public enum Advice: Hashable, Sendable, Codable {
  /// Repeat the call: another thread or process was using the object or changed it.
  case retry
  /// Wait until something has ended, such as the process that holds a lease.
  case wait(until: String)
  /// Request at least this size.
  case requestAtLeast(ByteCount)
  /// Request less than this size.
  case requestLess(than: ByteCount)
  /// Make the reservoir's memory ready, or wait until it is.
  case fill(size: ByteCount, node: NodeID?)
  /// Raise the host's pools of huge pages to these sizes, as root.
  case reserveHugePages([HugePageGoal])
  /// Reserve huge pages at boot, by the kernel's options `hugepagesz` and `hugepages`.
  case reserveAtBoot(pageSize: ByteCount, count: UInt64)
  /// Use another backing: one of these.
  case useBacking([Backing])
  /// Use an arena that is larger: of `total` bytes only `free` are free.
  case enlargeArena(free: ByteCount, total: ByteCount)
  /// Create the guest's memory with demand paging.
  case enableDemandPaging
  /// Write a value to one of the kernel's settings, as root.
  case set(path: String, value: String)
  /// Run a command, as root where `asRoot` is true.
  case run([String], asRoot: Bool)
  /// Raise a limit of the kernel's or the file system's.
  case raiseLimit(String)
  /// Run a kernel of at least this version.
  case upgradeKernel(String)
  /// Call again as root.
  case becomeRoot
  /// Call again as root or as a member of the group that may lease.
  case joinGroup
  /// Lease from the reservoir's service, which has to run, or call again as root.
  case useService
  /// Say which reservoir: there is one on each of these mounts, or the mounts are unknown.
  case chooseReservoir([String])
  /// Keep the owner that the reservoir's files have, or empty the reservoir first.
  case keepOwner(UInt32)
  /// Remove a file or folder, as root, after a look at what it is.
  case inspectAndRemove(path: String)
  /// Create the reservoir on a mount, as root; nil for the default mount.
  case createReservoir(mount: String?)
  /// Choose a name that is not in use.
  case useAnotherName
  /// End or release the lease of this name.
  case release(lease: String)
  /// Look at the reservoir's leases.
  case listLeases
  /// Anything else, in words that fit any program.
  case other(String)

  /// How many huge pages a pool should have.
  public struct HugePageGoal: Hashable, Sendable, Codable {
    /// The page size of the pool.
    public let pageSize: ByteCount
    /// The NUMA node of the pool, or nil for the host's.
    public let node: NodeID?
    /// The kernel's file that sets the number of pages.
    public let path: String
    /// The number of pages that the pool should have.
    public let count: UInt64
    /// Whether the file is read-only here, so that only the host outside of this container can
    /// write it.
    public let isOutsideContainer: Bool

    /// Creates a goal; the parameters are the properties.
    public init(
      pageSize: ByteCount, node: NodeID?, path: String, count: UInt64,
      isOutsideContainer: Bool = false
    ) {
      self.pageSize = pageSize
      self.node = node
      self.path = path
      self.count = count
      self.isOutsideContainer = isOutsideContainer
    }
  }
}

extension Advice: CustomStringConvertible {
  /// A phrase that fits behind `try:`.
  public var description: String {
    switch self {
    case .retry: "again"
    case .wait(let condition): "wait until \(condition)"
    case .requestAtLeast(let size): "at least \(size)"
    case .requestLess(let size): "less than \(size.rawValue >> 20) MiB"
    case .fill(let size, let node):
      "fill the reservoir with \(size)" + (node.map { " of node \($0)" } ?? "")
        + ", or wait until memory is ready"
    case .reserveHugePages(let goals):
      (goals.contains { $0.isOutsideContainer } ? "on the host, outside of the container, " : "")
        + "as root: " + goals.map { "echo \($0.count) > \($0.path)" }.joined(separator: " && ")
    case .reserveAtBoot(let pageSize, let count):
      "a smaller size, or reserve huge pages at boot with the kernel's options "
        + "hugepagesz=\(pageSize.kernelDescription) hugepages=\(count)"
    case .useBacking(let backings):
      "the backing "
        + backings.map(\.rawValue).joined(separator: ", ")
    case .enlargeArena(let free, let total):
      "a larger arena: \(free.rawValue >> 20) MiB of \(total.rawValue >> 20) MiB are free"
    case .enableDemandPaging: "guest memory with demand paging"
    case .set(let path, let value): "as root: echo \(value) > \(path)"
    case .run(let words, let asRoot): (asRoot ? "as root: " : "") + words.joined(separator: " ")
    case .raiseLimit(let limit): "a higher limit: \(limit)"
    case .upgradeKernel(let version): "Linux \(version) or newer"
    case .becomeRoot: "as root"
    case .joinGroup: "as root or as a member of the group that may lease"
    case .useService: "start the reservoir's service, or call as root"
    case .chooseReservoir(let mounts):
      mounts.isEmpty ? "the mount's folder" : "one of " + mounts.joined(separator: ", ")
    case .keepOwner(let owner): "the owner \(owner), or empty the reservoir first"
    case .inspectAndRemove(let path): "as root: inspect \(path) and remove it"
    case .createReservoir(let mount):
      "create the reservoir" + (mount.map { " on \($0)" } ?? "") + ", as root"
    case .useAnotherName: "another name"
    case .release(let lease): "release the lease \(lease) first"
    case .listLeases: "list the reservoir's leases"
    case .other(let text): text
    }
  }
}

extension ByteCount {
  /// The size as the kernel's command line takes it: `2048K`, `1G`.
  fileprivate var kernelDescription: String {
    rawValue >= 1 << 30 ? "\(rawValue >> 30)G" : "\(rawValue >> 10)K"
  }
}
