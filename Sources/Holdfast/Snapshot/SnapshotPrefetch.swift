/// When the pages of a restored segment are read from the snapshot.
public enum SnapshotPrefetch: Hashable, Sendable {
  /// Each when it is first accessed or wired.
  case onDemand
  /// All of them before `restoreSegment` returns, by this many threads, 1 to 64. They wait for the
  /// disk, so 4 are good even for one processor. Past the page cache, which is neither filled nor
  /// needed; what it has is read from there.
  case prefetched(threads: Int)
}
