public import HoldfastCore

extension HostCapabilities {
  /// The kernel's pool of huge pages of one size (/sys/kernel/mm/hugepages). Counts are of pages of
  /// that size; a count is nil if its file cannot be read.
  public struct HugePages: Hashable, Sendable, Codable {
    /// The size of a page.
    public var size: ByteCount
    /// nr_hugepages: all pages in the pool, including surplus ones.
    public var total: PageCount?
    /// free_hugepages: pages that are not in use.
    public var free: PageCount?
    /// resv_hugepages: free pages that are reserved for mappings.
    public var reserved: PageCount?
    /// surplus_hugepages: pages above the pool's configured size, which leave it when they are
    /// freed.
    public var surplus: PageCount?
    /// nr_overcommit_hugepages: the largest number of surplus pages.
    public var overcommit: PageCount?
    /// The surplus pages that the kernel can still add to the pool when they are needed: up to
    /// ``overcommit``, and as far as the host has memory available. Nil if unknown.
    public var surplusRoom: PageCount?
    /// Of the limits of all hugetlb cgroups up to the root, and of the memory cgroups where huge
    /// pages count towards them, the one that leaves the least, or nil without a limit. A process
    /// that exceeds it gets SIGBUS.
    public var cgroup: Cgroup.MemoryLimit?

    /// The bytes that the cgroups leave, or nil without a limit.
    public var cgroupRemaining: ByteCount? { cgroup?.remaining }

    /// The pages that can be allocated now: free and not reserved, or surplus, and within the
    /// cgroup's limit; 0 if unknown.
    public var available: PageCount {
      guard let cgroupRemaining, size != .zero else { return obtainable }
      return min(obtainable, PageCount(cgroupRemaining.rawValue / size.rawValue))
    }

    /// The pages that the host can provide, whatever the cgroup's limit: free and not reserved, or
    /// surplus.
    package var obtainable: PageCount {
      PageCount(unreserved.rawValue.saturatingSum((surplusRoom ?? .zero).rawValue))
    }

    /// `12 are free`, `0 are free and 64 can be added as surplus`.
    package var obtainableWords: String {
      let surplus = (surplusRoom ?? .zero).rawValue
      return "\(unreserved.rawValue) are free"
        + (surplus == 0 ? "" : " and \(surplus) can be added as surplus")
    }

    /// Pages that are free and not reserved.
    var unreserved: PageCount {
      let free = (free ?? .zero).rawValue
      return PageCount(free - min(free, (reserved ?? .zero).rawValue))
    }

    /// The available pages in bytes.
    public var availableBytes: ByteCount {
      let (bytes, overflow) = available.rawValue.multipliedReportingOverflow(by: size.rawValue)
      return overflow ? ByteCount(.max) : ByteCount(bytes)
    }

    /// The pool's configured size: all pages but the surplus ones. Writing nr_hugepages sets this,
    /// although reading it returns ``total``.
    var persistent: PageCount? {
      total.map { PageCount($0.rawValue - min($0.rawValue, (surplus ?? .zero).rawValue)) }
    }
  }

  /// Transparent huge pages (/sys/kernel/mm/transparent_hugepage).
  public struct TransparentHugePages: Hashable, Sendable, Codable {
    /// `enabled`: the private memory that gets huge pages.
    public enum PrivateMode: String, Hashable, Sendable, Codable {
      /// All.
      case always
      /// Memory that asks for them by madvise(2), MADV_HUGEPAGE.
      case madvise
      /// None.
      case never
    }

    /// `shmem_enabled`: the shared memory, such as that of memfd_create(2), that gets huge pages.
    public enum SharedMode: String, Hashable, Sendable, Codable {
      /// All.
      case always
      /// Huge pages that are within the file's size, and memory that asks for them by madvise(2).
      case withinSize = "within_size"
      /// Memory that asks for them by madvise(2), MADV_HUGEPAGE.
      case advise
      /// None.
      case never
      /// None, whatever the mount's options.
      case deny
      /// All, whatever the mount's options; for testing.
      case force

      /// Whether memory that asks for huge pages gets them.
      public var givesHugePages: Bool { self != .never && self != .deny }
    }

    /// The mode of private memory, or nil if unknown.
    public var privateMemory: PrivateMode?
    /// The mode of shared memory, or nil if unknown.
    public var sharedMemory: SharedMode?
    /// The kernel's file that decides about private memory.
    public var privateMemoryPath = "/sys/kernel/mm/transparent_hugepage/enabled"
    /// The kernel's file that decides about shared memory.
    public var sharedMemoryPath = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
    /// The size of a transparent huge page (`hpage_pmd_size`), or nil if unknown.
    public var size: ByteCount?
    /// Whether this process gets none, whatever the modes: PR_SET_THP_DISABLE, which it has
    /// inherited (systemd: `MemoryTHP=`). Nil if unknown. False if only memory that does not ask
    /// for them gets none (Linux 6.18), since Holdfast's memory asks.
    public var isDisabledForProcess: Bool?

    /// Whether this process's shared memory that asks for huge pages gets them.
    package var givesShared: Bool {
      sharedMemory?.givesHugePages == true && processProblem == nil
    }

    /// Whether this process's private memory that asks for huge pages gets them.
    package var givesPrivate: Bool {
      (privateMemory ?? .never) != .never && processProblem == nil
    }

    /// Why this process gets none although others do, or nil.
    package var processProblem: String? {
      isDisabledForProcess == true
        ? "transparent huge pages are disabled for this process (PR_SET_THP_DISABLE, which a "
          + "parent such as systemd with MemoryTHP= has set)" : nil
    }
  }
}
