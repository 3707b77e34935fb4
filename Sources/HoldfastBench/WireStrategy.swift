internal import HoldfastCore

/// A way to wire a guest's memory, or to give it back, that a benchmark measures.
public enum WireStrategy: String, Hashable, Sendable, CaseIterable {
  /// Holdfast, one base page at a time, from zeroed frames.
  case fault
  /// Holdfast's own way, from zeroed frames, as `holdfast wire` asks for it: in the arena's own
  /// mapping where that is better than a window.
  case prefault
  /// The same into a window of the guest's own.
  case window
  /// Holdfast's own way from dirty frames, which are zeroed first.
  case prefaultDirty = "prefault-dirty"
  /// Unmapping all of a window and freeing its frames.
  case unmap
  /// mmap(2) and one read a GiB, where the kernel shares page tables: a floor on hugetlb-2M.
  case touch
  /// mmap(2) and MADV_POPULATE_WRITE of resident memory: a floor of `window`.
  case remap
  /// One UFFDIO_CONTINUE for all of the resident memory: the floor of `window` on base pages.
  case continueAll = "uffd-continue-all"
  /// One UFFDIO_CONTINUE for each resident base page: the floor of `fault`.
  case uffdContinue = "uffd-continue"
  /// Zeroing by all threads, in the fastest of the ways that `host` lists: the floor of
  /// `prefaultDirty`.
  case zero
  /// munmap(2) of mapped memory: the floor of `unmap`.
  case munmap
  /// New memory of the arena's kind and MADV_POPULATE_WRITE by all threads.
  case populate
  /// New private memory and mmap(2) with MAP_POPULATE, by one thread: of hugetlb pages on hugetlb-2M,
  /// otherwise of base pages.
  case mapPopulate = "map-populate"
  /// New private memory of base pages and mlock(2), by one thread.
  case mlock
  /// The same by all threads.
  case mlockThreads = "mlock-threads"
  /// New private memory of transparent huge pages and mlock(2), by one thread.
  case mlockHuge = "mlock-thp"
  /// The same by all threads.
  case mlockHugeThreads = "mlock-thp-threads"

  /// Whether the strategy works on the arena's memory. The others allocate memory, for which the
  /// arena must be freed first.
  var needsArena: Bool { !isLocking && self != .populate && self != .mapPopulate }

  /// Whether it is mlock(2) of private memory.
  var isLocking: Bool {
    switch self {
    case .mlock, .mlockThreads, .mlockHuge, .mlockHugeThreads: true
    default: false
    }
  }

  /// Whether a strategy that needs no arena allocates the backing's pages, rather than ordinary memory.
  func allocates(like backing: Backing) -> Bool {
    self == .populate || self == .mapPopulate && backing == .hugetlb2M
  }

  /// Whether it maps the arena's file, which private memory does not have.
  var mapsFile: Bool {
    switch self {
    case .window, .unmap, .touch, .remap, .continueAll, .uffdContinue, .munmap: true
    default: false
    }
  }

  /// What the kernel takes at least for the same work, or nil where there is no such measure: a
  /// guest in the arena's own mapping needs no system call.
  ///
  /// - Parameter isPlaced: whether `prefault` is in the arena's own mapping.
  func floor(on backing: Backing, isPlaced: Bool) -> WireStrategy? {
    switch self {
    case .fault: .uffdContinue
    case .prefault: isPlaced ? nil : WireStrategy.window.floor(on: backing, isPlaced: false)
    case .window:
      switch backing {
      case .hugetlb2M: .touch
      case .base: .continueAll
      case .hugetlb1G, .thp, .thpPrivate: .remap
      }
    case .prefaultDirty: .zero
    case .unmap: .munmap
    default: nil
    }
  }

  /// The pairs that are compared if both were measured, the baseline first.
  static func comparisons(
    on backing: Backing, isPlaced: Bool
  ) -> [(baseline: WireStrategy, candidate: WireStrategy)] {
    [(.prefault, .fault)]
      + allCases.compactMap { candidate in
        candidate.floor(on: backing, isPlaced: isPlaced).map { ($0, candidate) }
      } + [(.populate, .prefaultDirty)]
  }
}
