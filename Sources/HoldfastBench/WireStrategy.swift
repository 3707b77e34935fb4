/// A way to get a guest's memory wired, to be measured.
public enum WireStrategy: String, Hashable, Sendable, CaseIterable {
  /// Holdfast, one base page at a time, from zeroed frames.
  case fault
  /// Holdfast's own way, from zeroed frames.
  case prefault
  /// The same from frames that have to be zeroed first.
  case prefaultDirty = "prefault-dirty"
  /// memset(3) on all threads of memory that is there and mapped: the floor of `prefaultDirty`.
  case memset
  /// Fresh anonymous memory and mlock(2).
  case mlock
  /// Fresh memory of the arena's kind and MADV_POPULATE_WRITE on all threads.
  case populate
  /// mmap(2) and MADV_POPULATE_WRITE of memory that is there already: the floor of `prefault`.
  case remap
  /// One UFFDIO_CONTINUE a base page of memory that is there already: the floor of `fault`.
  case uffdContinue = "uffd-continue"

  /// Whether it works on the arena's memory; the others bring in memory of their own, for which the
  /// arena has to make room.
  var needsArena: Bool {
    switch self {
    case .fault, .prefault, .prefaultDirty, .memset, .remap, .uffdContinue: true
    case .mlock, .populate: false
    }
  }

  /// What is compared with what, the baseline first, where both were measured.
  public static let comparisons: [(baseline: WireStrategy, candidate: WireStrategy)] = [
    (.prefault, .fault), (.remap, .prefault), (.memset, .prefaultDirty),
    (.populate, .prefaultDirty), (.uffdContinue, .fault),
  ]
}
