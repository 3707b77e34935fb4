internal import Glibc
internal import HoldfastCore

/// The mapping of an arena's whole memory in this process, for zeroing and copying frames.
///
/// SAFETY: the parts of the range that have memory are mapped readable and writable for as long as
/// the map lives; every call is checked against its length. Of a frame that a guest writes at the
/// same time, a read or copy gets the old or the new value of each byte; no reference to it is
/// made.
struct DirectMap: Sendable {
  let range: HostRange
  let geometry: Geometry
  let threads: Int
  /// The parts of the arena, in ascending order.
  let parts: [ArenaPart]

  /// Up to so many bytes are zeroed on the calling thread alone: waking a thread takes as long as
  /// zeroing some hundred kilobytes.
  private static let alone: UInt64 = 1 << 20

  private func offset(_ frame: Frame) -> ByteCount { geometry.bytes(frame - Frame(0)) }

  private func check(_ offset: ByteCount, _ count: UInt64) {
    precondition(
      offset <= range.length && count <= (range.length - offset).rawValue,
      "bytes outside of the arena")
  }

  /// Zeroes runs of frames, on several threads if they are large.
  func zero(_ runs: [FrameRun]) {
    var pieces = [[(offset: ByteCount, count: UInt64)]](repeating: [], count: parts.count)
    var total: UInt64 = 0
    for run in runs {
      var start = offset(run.start)
      let length = geometry.bytes(run.count).rawValue
      check(start, length)
      total += length
      let end = start + ByteCount(length)
      while start < end {
        let part = part(of: start)
        let limit = min(end.rawValue, parts[part].bytes.upperBound) - start.rawValue
        let count = min(UInt64(Zeroing.piece), limit)
        pieces[part].append((start, count))
        start += ByteCount(count)
      }
    }
    let work = pieces
    if total <= Self.alone {
      for (offset, count) in work.joined() { zero(offset, count) }
      return
    }
    // A thread that cannot be pinned is slower; the arena's preparation has reported that.
    _ = Workers.perform(
      zip(work, parts).map { Workers.Group(count: $0.count, processors: $1.processors) },
      threads: threads
    ) { group, number in
      zero(work[group][number].offset, work[group][number].count)
      return true
    }
  }

  private func zero(_ offset: ByteCount, _ count: UInt64) {
    unsafe Zeroing.zero(range.pointer(at: offset), Int(count))
  }

  /// The index of the part that contains an offset.
  ///
  /// - Complexity: O(parts), of which there are as many as nodes.
  private func part(of offset: ByteCount) -> Int {
    parts.firstIndex { offset.rawValue < $0.bytes.upperBound } ?? parts.count - 1
  }

  /// Measures the ways to zero memory in the arena's, if that was not done and the arena is large
  /// enough. Called before frames are given out.
  func chooseZeroing(_ size: ByteCount) {
    check(.zero, size.rawValue)
    // SAFETY: `size` bytes are mapped, and no frame of them has been given out.
    unsafe Zeroing.chooseOnce(on: range.pointer(at: .zero), Int(size.rawValue), threads: threads)
  }

  /// Zeroes a part of a frame on the calling thread.
  func zero(_ frame: Frame, offset: ByteCount, count: ByteCount) {
    let start = self.offset(frame) + offset
    check(start, count.rawValue)
    unsafe Zeroing.zero(range.pointer(at: start), Int(count.rawValue))
  }

  /// Whether all bytes of a run are zero.
  func isZero(_ run: FrameRun) -> Bool {
    let start = offset(run.start)
    let length = geometry.bytes(run.count).rawValue
    check(start, length)
    guard length > 0 else { return true }
    let first = unsafe range.pointer(at: start)
    // The first byte is zero, and each other equals the one before it.
    return unsafe first.load(as: UInt8.self) == 0
      && memcmp(first, first + 1, Int(length) - 1) == 0
  }

  /// Copies a run to the frames from `destination`.
  func copy(from source: FrameRun, to destination: Frame) {
    let length = geometry.bytes(source.count).rawValue
    let from = offset(source.start)
    let to = offset(destination)
    check(from, length)
    check(to, length)
    unsafe memcpy(range.pointer(at: to), range.pointer(at: from), Int(length))
  }

  /// Copies bytes from an offset in a frame into a part of `bytes`.
  func read(
    _ frame: Frame, offset: ByteCount, into bytes: inout MutableRawSpan, _ part: Range<Int>
  ) {
    let from = self.offset(frame) + offset
    check(from, UInt64(part.count))
    precondition(part.upperBound <= bytes.byteCount, "bytes outside of the buffer")
    unsafe bytes.withUnsafeMutableBytes { buffer in
      guard let base = buffer.baseAddress else { return }
      unsafe memcpy(base + part.lowerBound, range.pointer(at: from), part.count)
    }
  }

  /// Copies `bytes` to an offset in a frame.
  func write(_ bytes: RawSpan, to frame: Frame, offset: ByteCount) {
    let to = self.offset(frame) + offset
    check(to, UInt64(bytes.byteCount))
    unsafe bytes.withUnsafeBytes { buffer in
      guard let base = buffer.baseAddress else { return }
      unsafe memcpy(range.pointer(at: to), base, buffer.count)
    }
  }
}
