public import HoldfastCore

extension HostCapabilities {
  /// The kernel's pool of huge pages of one size (/sys/kernel/mm/hugepages). Counts are of pages
  /// of that size; a count is nil where its file could not be read.
  public struct HugePages: Hashable, Sendable, Codable {
    /// The size of a page.
    public var size: ByteCount
    /// nr_hugepages: all pages in the pool, surplus ones too.
    public var total: PageCount?
    /// free_hugepages: pages that nobody uses.
    public var free: PageCount?
    /// resv_hugepages: free pages that are promised to mappings.
    public var reserved: PageCount?
    /// surplus_hugepages: pages over the pool's set size, which go when they are freed.
    public var surplus: PageCount?
    /// nr_overcommit_hugepages: how many surplus pages there may be.
    public var overcommit: PageCount?
    /// What the hugetlb cgroup leaves, or nil where it sets no limit. A process that goes over it
    /// dies of SIGBUS.
    public var cgroupRemaining: ByteCount?

    /// Pages to be had now: free and not promised, within the cgroup's limit; zero where unknown.
    public var available: PageCount {
      guard let cgroupRemaining, size != .zero else { return unpromised }
      return min(unpromised, PageCount(cgroupRemaining.rawValue / size.rawValue))
    }

    /// Pages that are free and not promised.
    var unpromised: PageCount {
      let free = (free ?? .zero).rawValue
      return PageCount(free - min(free, (reserved ?? .zero).rawValue))
    }

    /// The bytes of the available pages.
    public var availableBytes: ByteCount {
      let (bytes, overflow) = available.rawValue.multipliedReportingOverflow(by: size.rawValue)
      return overflow ? ByteCount(.max) : ByteCount(bytes)
    }

    /// Pages that the pool is set to keep: all but the surplus ones. Writing nr_hugepages sets
    /// this, though reading it tells ``total``.
    var persistent: PageCount? {
      total.map { PageCount($0.rawValue - min($0.rawValue, (surplus ?? .zero).rawValue)) }
    }
  }

  /// Transparent huge pages (/sys/kernel/mm/transparent_hugepage).
  public struct TransparentHugePages: Hashable, Sendable, Codable {
    /// `enabled`: which private memory gets huge pages.
    public enum PrivateMode: String, Hashable, Sendable, Codable {
      /// All of it.
      case always
      /// What madvise(MADV_HUGEPAGE) names.
      case madvise
      /// None.
      case never
    }

    /// `shmem_enabled`: which shared memory, as of memfd_create(2), gets huge pages.
    public enum SharedMode: String, Hashable, Sendable, Codable {
      /// All of it.
      case always
      /// Huge pages that lie within the file's size, and what madvise(2) names.
      case withinSize = "within_size"
      /// What madvise(MADV_HUGEPAGE) names.
      case advise
      /// None.
      case never
      /// None, whatever a mount says.
      case deny
      /// All of it, whatever a mount says: for testing.
      case force

      /// Whether memory that asks for huge pages gets them.
      public var givesHugePages: Bool { self != .never && self != .deny }
    }

    /// The mode of private memory, or nil.
    public var privateMemory: PrivateMode?
    /// The mode of shared memory, or nil.
    public var sharedMemory: SharedMode?
    /// The size of a transparent huge page (`hpage_pmd_size`), or nil.
    public var size: ByteCount?
  }
}
