internal import Glibc
internal import HoldfastCore

/// All of an arena's memory as this process sees it, for zeroing and copying frames.
///
/// SAFETY: the range is mapped readable and writable, whole, for as long as the map lives; every
/// call is checked against its length. Frames that a guest is writing to at the same time may be
/// read or copied with either value of each byte; nobody takes a reference into them.
struct DirectMap: Sendable {
  let range: HostRange
  let geometry: Geometry
  let threads: Int
  /// The parts of the arena, in order.
  let parts: [ArenaPart]

  /// Smaller amounts are zeroed by the caller alone: waking a thread costs as much as zeroing some
  /// hundred kilobytes.
  private static let alone: UInt64 = 1 << 20

  private func offset(_ frame: Frame) -> ByteCount { geometry.bytes(frame - Frame(0)) }

  private func check(_ offset: ByteCount, _ count: UInt64) {
    precondition(
      offset <= range.length && count <= (range.length - offset).rawValue,
      "bytes outside of the arena")
  }

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
    // A thread that cannot be pinned zeroes from farther away; the arena has told so already.
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

  /// The part that an offset lies in; there are as many as there are nodes.
  private func part(of offset: ByteCount) -> Int {
    parts.firstIndex { offset.rawValue < $0.bytes.upperBound } ?? parts.count - 1
  }

  /// Chooses the way to zero, where that was not done and the memory suffices, by zeroing some of it.
  /// Called before frames are given out.
  func chooseZeroing(_ size: ByteCount) {
    check(.zero, size.rawValue)
    // SAFETY: all of the range is mapped, and nobody has got a frame of it yet.
    unsafe Zeroing.chooseOnce(on: range.pointer(at: .zero), Int(size.rawValue), threads: threads)
  }

  /// On the calling thread alone.
  func zero(_ frame: Frame, offset: ByteCount, count: ByteCount) {
    let start = self.offset(frame) + offset
    check(start, count.rawValue)
    unsafe Zeroing.zero(range.pointer(at: start), Int(count.rawValue))
  }

  func isZero(_ run: FrameRun) -> Bool {
    let start = offset(run.start)
    let length = geometry.bytes(run.count).rawValue
    check(start, length)
    guard length > 0 else { return true }
    let place = unsafe range.pointer(at: start)
    // Every byte is the one before it, and the first is zero.
    return unsafe place.load(as: UInt8.self) == 0
      && memcmp(place, place + 1, Int(length) - 1) == 0
  }

  func copy(from source: FrameRun, to destination: Frame) {
    let length = geometry.bytes(source.count).rawValue
    let from = offset(source.start)
    let to = offset(destination)
    check(from, length)
    check(to, length)
    unsafe memcpy(range.pointer(at: to), range.pointer(at: from), Int(length))
  }

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

  func write(_ bytes: RawSpan, to frame: Frame, offset: ByteCount) {
    let to = self.offset(frame) + offset
    check(to, UInt64(bytes.byteCount))
    unsafe bytes.withUnsafeBytes { buffer in
      guard let base = buffer.baseAddress else { return }
      unsafe memcpy(range.pointer(at: to), base, buffer.count)
    }
  }
}
