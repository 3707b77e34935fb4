/// A way to wire a guest's memory that a benchmark measures.
public enum WireStrategy: String, Hashable, Sendable, CaseIterable {
  /// Holdfast, one base page at a time, from zeroed frames.
  case fault
  /// Holdfast's own way, from zeroed frames.
  case prefault
  /// The same from dirty frames, which are zeroed first.
  case prefaultDirty = "prefault-dirty"
  /// memset(3) by all threads on resident, mapped memory: the floor of `prefaultDirty`.
  case memset
  /// New anonymous memory and mlock(2).
  case mlock
  /// New memory of the arena's kind and MADV_POPULATE_WRITE by all threads.
  case populate
  /// mmap(2) and MADV_POPULATE_WRITE of resident memory: the floor of `prefault`.
  case remap
  /// One UFFDIO_CONTINUE for each resident base page: the floor of `fault`.
  case uffdContinue = "uffd-continue"

  /// Whether the strategy works on the arena's memory. The others allocate memory, for which the
  /// arena must be freed first.
  var needsArena: Bool {
    switch self {
    case .fault, .prefault, .prefaultDirty, .memset, .remap, .uffdContinue: true
    case .mlock, .populate: false
    }
  }

  /// The pairs that are compared if both were measured, the baseline first.
  public static let comparisons: [(baseline: WireStrategy, candidate: WireStrategy)] = [
    (.prefault, .fault), (.remap, .prefault), (.memset, .prefaultDirty),
    (.populate, .prefaultDirty), (.uffdContinue, .fault),
  ]
}
