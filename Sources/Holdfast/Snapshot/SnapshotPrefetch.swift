/// When the pages of a restored segment are read from the snapshot.
public enum SnapshotPrefetch: Hashable, Sendable {
  /// Each when it is first accessed or wired.
  case onDemand
  /// All of them before `restoreSegment` returns, by this many threads.
  case prefetched(threads: Int)
}
