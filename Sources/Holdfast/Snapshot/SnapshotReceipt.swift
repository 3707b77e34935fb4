public import HoldfastCore

/// What saving guest memory wrote, and what it took.
public struct SnapshotReceipt: Hashable, Sendable {
  /// Where the image is.
  public let path: String
  /// The size of the file, which is that of the range.
  public let bytes: ByteCount
  /// What was written of it.
  public let writtenBytes: ByteCount
  /// What was left out, because it is zero, absent or not mapped.
  public var holeBytes: ByteCount { bytes - writtenBytes }
  /// From the call to the end, the file being on its disk.
  public let duration: Duration
  /// How much of that the kernel took to bring the file to its disk.
  public let syncDuration: Duration
}

/// When the pages of a restored segment are read.
public enum SnapshotPrefetch: Hashable, Sendable {
  /// When they are touched, wired or read for the first time.
  case onDemand
  /// All of them before the segment is there, by so many threads.
  case prefetched(threads: Int)
}
