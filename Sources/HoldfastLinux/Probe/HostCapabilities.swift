public import HoldfastCore

/// What this host offers to virtual machines' memory, as ``HostProbe`` found it.
///
/// A value of one moment: nothing here is updated. What could not be found out is nil. The Codable
/// form has byte and page counts as bare numbers.
public struct HostCapabilities: Hashable, Sendable, Codable {
  /// The processors.
  public var processors: Processors
  /// Memory as a whole.
  public var memory: Memory
  /// The limits that cgroups put on this process.
  public var cgroup: Cgroup
  /// The base page, or nil.
  public var pageSize: ByteCount?
  /// Huge pages of each size that the kernel has, smallest first.
  public var hugePages: [HugePages]
  /// The size that hugetlb uses when none is named (`Hugepagesize` of /proc/meminfo), or nil.
  public var defaultHugePageSize: ByteCount?
  /// Transparent huge pages.
  public var transparentHugePages: TransparentHugePages
  /// userfaultfd(2).
  public var userFault: UserFault
  /// Who this process is and what it may lock.
  public var privileges: Privileges
  /// The kernel's virtual machine device.
  public var kvm: KVM
  /// The NUMA nodes that are online, by number, which may have holes.
  public var nodes: [Node]
  /// How many mappings a process may have (`vm.max_map_count`), or nil.
  public var maximumMapCount: UInt64?
  /// How the kernel commits memory (`vm.overcommit_memory`), or nil.
  public var overcommit: Overcommit?

  /// The memory outside the huge page pools that guests could have now: what the host has
  /// available or what the tightest cgroup leaves, whichever is less; zero where unknown.
  public var availableForGuests: ByteCount {
    let host = memory.available ?? memory.free ?? .zero
    return min(host, cgroup.memory?.remaining ?? host)
  }

  /// How many threads of this process can run at once: at least 1.
  public var parallelism: Int {
    let processors = max(1, self.processors.usable ?? self.processors.online ?? 1)
    guard let quota = cgroup.processors, quota < Double(processors) else { return processors }
    return max(1, Int(max(0, quota).rounded(.up)))
  }
}

extension HostCapabilities {
  /// The processors.
  public struct Processors: Hashable, Sendable, Codable {
    /// The model's name as the kernel has it (`model name` of /proc/cpuinfo), or nil.
    public var model: String?
    /// The maker (`vendor_id`), or nil.
    public var vendor: String?
    /// Processors online, or nil.
    public var online: Int?
    /// Processors that sched_setaffinity(2) and cpusets leave to this process, or nil.
    public var usable: Int?
  }

  /// Memory as a whole (/proc/meminfo).
  public struct Memory: Hashable, Sendable, Codable {
    /// MemTotal.
    public var total: ByteCount?
    /// MemFree.
    public var free: ByteCount?
    /// MemAvailable: what can be had without swapping.
    public var available: ByteCount?
  }

  /// The limits of the cgroups that this process is in, version 2 or 1.
  public struct Cgroup: Hashable, Sendable, Codable {
    /// A cgroup's limit on memory.
    public struct MemoryLimit: Hashable, Sendable, Codable {
      /// The file that sets the limit.
      public var file: String
      /// The limit.
      public var limit: ByteCount
      /// What is left: the limit less what is used and could not be reclaimed from the page cache.
      public var remaining: ByteCount
    }

    /// Of all limits from this process's cgroup up to the root, the one that leaves least, or nil
    /// where there is none. Huge pages of hugetlb do not count towards it.
    public var memory: MemoryLimit?
    /// The least quota of processor time, in processors, or nil where there is none.
    public var processors: Double?
  }

  /// `vm.overcommit_memory`.
  public enum Overcommit: String, Hashable, Sendable, Codable {
    /// 0: refuses what is plainly too much.
    case heuristic
    /// 1: refuses nothing.
    case always
    /// 2: counts every private byte against a limit.
    case never
  }
}
