/// A frame store without memory, for use with `NullPmap`. All frames read as zero.
public final class NullFrameStore: FrameStore {
  /// Creates a frame store.
  public init() {}

  /// Does nothing.
  public func zero(_ runs: [FrameRun]) {}
  /// Does nothing.
  public func copy(from source: FrameRun, to destination: Frame) {}

  /// Fills the range of `bytes` with zeros.
  public func read(
    _ frame: Frame, offset: ByteCount, into bytes: inout MutableRawSpan, _ range: Range<Int>
  ) {
    for index in range { bytes.storeBytes(of: 0, toByteOffset: index, as: UInt8.self) }
  }

  /// Does nothing.
  public func write(_ bytes: RawSpan, to frame: Frame, offset: ByteCount) {}
  /// Does nothing.
  public func zero(_ frame: Frame, offset: ByteCount, count: ByteCount) {}
  /// Returns true.
  public func isZero(_ run: FrameRun) -> Bool { true }
}
