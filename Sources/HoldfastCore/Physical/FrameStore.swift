/// The bytes of the physical memory: how the VM layer zeroes, copies, reads and writes frames.
///
/// Called without any lock but, in `read` and `write`, the address space's and those of objects. Safe
/// from any thread; callers see to it that no two of them work on the same frame, except that a
/// guest may touch at any time what is mapped to it.
public protocol FrameStore: AnyObject, Sendable {
  /// Makes every byte of the runs zero (FreeBSD: `pmap_zero_page`). A store may use several
  /// threads and returns when all is done.
  func zero(_ runs: [FrameRun])

  /// Copies whole frames; the runs are as long and do not overlap (FreeBSD: `pmap_copy_page`).
  func copy(from source: FrameRun, to destination: Frame)

  /// Copies bytes out, from `offset` behind the start of `frame` on, to the byte offsets `range` of
  /// `bytes`. They lie in frames that follow each other.
  func read(
    _ frame: Frame, offset: ByteCount, into bytes: inout MutableRawSpan, _ range: Range<Int>)

  /// Copies bytes in, from `offset` behind the start of `frame` on.
  func write(_ bytes: RawSpan, to frame: Frame, offset: ByteCount)

  /// Makes `count` bytes zero from `offset` behind the start of `frame` on, which may lie in the
  /// frames that follow it, on the calling thread alone. What is called piece by piece by those who
  /// zero in the background and have to stop at any time.
  func zero(_ frame: Frame, offset: ByteCount, count: ByteCount)

  /// Whether every byte of the run is zero, for checks.
  func isZero(_ run: FrameRun) -> Bool
}
