/// The bytes of the physical memory: how the VM layer zeroes, copies, reads and writes frames.
///
/// Safe to use from any thread. No two threads work on the same frame at once, except that a guest
/// may access at any time what is mapped for it.
///
/// Wires, faults and pagers call it without locks. With locks held are called: `copy` by a fork,
/// which copies wired pages (the address space's lock, exclusive); `read` and `write` for
/// `AddressSpace.read` and `write` (the address space's lock, shared, and those of a chain's
/// objects); and, with HOLDFAST_CHECK_ZEROED=1, `isZero`, under whatever the caller of the
/// allocator holds (objects' locks and the `ReservationPool`'s, for example).
public protocol FrameStore: AnyObject, Sendable {
  /// Zeroes every byte of the runs (FreeBSD: `pmap_zero_page`). A store may use several threads; it
  /// returns when all have finished.
  func zero(_ runs: [FrameRun])

  /// Copies whole frames to as many from `destination` on, which do not overlap them (FreeBSD:
  /// `pmap_copy_page`).
  func copy(from source: FrameRun, to destination: Frame)

  /// Makes several such copies. A store may use several threads; it returns when all have finished.
  func copy(_ copies: [FrameCopy])

  /// Copies bytes from contiguous frames to the byte offsets `range` of `bytes`, beginning `offset`
  /// bytes after the start of `frame`.
  func read(
    _ frame: Frame, offset: ByteCount, into bytes: inout MutableRawSpan, _ range: Range<Int>)

  /// Copies bytes to contiguous frames, beginning `offset` bytes after the start of `frame`.
  func write(_ bytes: RawSpan, to frame: Frame, offset: ByteCount)

  /// Zeroes `count` bytes of contiguous frames, beginning `offset` bytes after the start of
  /// `frame`, on the calling thread alone. A thread that zeroes in the background, and must be able
  /// to stop, calls it for each piece, in ascending order.
  func zero(_ frame: Frame, offset: ByteCount, count: ByteCount)

  /// Whether every byte of the run is zero. Only checks call it.
  func isZero(_ run: FrameRun) -> Bool
}

extension FrameStore {
  /// Copies one run after the other on the calling thread.
  public func copy(_ copies: [FrameCopy]) {
    for part in copies { copy(from: part.source, to: part.destination) }
  }
}
