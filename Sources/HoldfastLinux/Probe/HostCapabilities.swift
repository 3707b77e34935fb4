public import HoldfastCore

/// What this host offers for the memory of virtual machines, as ``HostProbe`` found it.
///
/// The values are those of the moment of the probe. Unknown values are nil. The Codable form has
/// byte and page counts as plain numbers.
public struct HostCapabilities: Hashable, Sendable, Codable {
  /// The processors.
  public var processors: Processors
  /// The memory of the host.
  public var memory: Memory
  /// The limits that cgroups put on this process.
  public var cgroup: Cgroup
  /// The size of a base page, or nil if unknown.
  public var pageSize: ByteCount?
  /// The pools of huge pages of each size that the kernel has, smallest first.
  public var hugePages: [HugePages]
  /// The default size of hugetlb pages (`Hugepagesize` of /proc/meminfo), or nil if unknown.
  public var defaultHugePageSize: ByteCount?
  /// Transparent huge pages.
  public var transparentHugePages: TransparentHugePages
  /// The use of userfaultfd(2).
  public var userFault: UserFault
  /// The user of this process and its limit on locked memory.
  public var privileges: Privileges
  /// The device for virtual machines.
  public var kvm: KVM
  /// The online NUMA nodes, in ascending order of their numbers, which need not be consecutive.
  public var nodes: [Node]
  /// The number of mappings that a process may have (`vm.max_map_count`), or nil if unknown.
  public var maximumMapCount: UInt64?
  /// How the kernel commits memory (`vm.overcommit_memory`), or nil if unknown.
  public var overcommit: Overcommit?

  /// The memory outside of the huge page pools that guests can have now: the host's available
  /// memory, or what the tightest cgroup leaves, whichever is less; 0 if unknown.
  public var availableForGuests: ByteCount { roomForGuests ?? .zero }

  /// ``availableForGuests``, or nil if unknown: then only an attempt can show whether there is
  /// enough.
  package var roomForGuests: ByteCount? {
    let host = memory.available ?? memory.free
    guard let limit = cgroup.memory?.remaining else { return host }
    return min(host ?? limit, limit)
  }

  /// The memory cgroup's limit, if it leaves less than `size` and what a process needs besides, such
  /// as page tables: the kernel kills a process that exceeds it.
  package func memoryLimit(refusing size: ByteCount) -> Cgroup.MemoryLimit? {
    guard let limit = cgroup.memory else { return nil }
    let besides = ByteCount.mebibytes(8) + ByteCount(size.rawValue / 64)
    return limit.remaining < size + besides ? limit : nil
  }

  /// The number of this process's threads that can run at once, at least 1.
  public var parallelism: Int {
    let processors = max(1, self.processors.usable ?? self.processors.online ?? 1)
    guard let quota = cgroup.processors, quota < Double(processors) else { return processors }
    return max(1, Int(max(0, quota).rounded(.up)))
  }
}

extension HostCapabilities {
  /// The processors.
  public struct Processors: Hashable, Sendable, Codable {
    /// The model name (`model name` of /proc/cpuinfo), or nil if unknown.
    public var model: String?
    /// The vendor (`vendor_id`), or nil if unknown.
    public var vendor: String?
    /// The number of online processors, or nil if unknown.
    public var online: Int?
    /// The number of processors that affinity and cpusets allow this process, or nil if unknown.
    public var usable: Int?
  }

  /// The memory of the host (/proc/meminfo); values are nil if unknown.
  public struct Memory: Hashable, Sendable, Codable {
    /// MemTotal.
    public var total: ByteCount?
    /// MemFree.
    public var free: ByteCount?
    /// MemAvailable: an estimate of the memory available without swapping.
    public var available: ByteCount?
  }

  /// The limits of the cgroups that this process is in, version 2 or 1.
  public struct Cgroup: Hashable, Sendable, Codable {
    /// A cgroup's limit on memory, or on huge pages of one size.
    public struct MemoryLimit: Hashable, Sendable, Codable {
      /// The file that sets the limit.
      public var file: String
      /// The limit.
      public var limit: ByteCount
      /// The limit less the usage, not counting page cache that can be reclaimed.
      public var remaining: ByteCount

      /// Creates a limit; the parameters are the properties.
      package init(file: String, limit: ByteCount, remaining: ByteCount) {
        self.file = file
        self.limit = limit
        self.remaining = remaining
      }

      /// `the hugetlb cgroup leaves 16 MiB of 32 MiB (/sys/fs/cgroup/app/hugetlb.2MB.max)`.
      package var words: String {
        let name = file.split(separator: "/").last ?? ""
        return "the \(name.prefix { $0 != "." }) cgroup leaves \(HostReport.rounded(remaining)) of "
          + "\(HostReport.rounded(limit)) (\(file))"
      }

      /// What to do about the limit.
      package var advice: Advice { .raiseLimit(file) }
    }

    /// Of all limits from this process's cgroup up to the root, the one that leaves the least, or
    /// nil without a limit. Hugetlb pages count towards it only where the hierarchy is mounted with
    /// `memory_hugetlb_accounting`.
    public var memory: MemoryLimit?
    /// The smallest quota of processor time, in processors, or nil without a quota.
    public var processors: Double?
  }

  /// `vm.overcommit_memory`.
  public enum Overcommit: String, Hashable, Sendable, Codable {
    /// 0: refuses requests that are obviously too large.
    case heuristic
    /// 1: refuses no request.
    case always
    /// 2: counts all private memory against a limit.
    case never
  }
}
