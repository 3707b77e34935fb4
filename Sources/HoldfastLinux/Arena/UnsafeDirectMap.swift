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
      // SAFETY: checked just now to lie in the map; the frames are the caller's to zero.
      unsafe Zeroing.chooseOnce(on: range.pointer(at: start), Int(length), threads: threads)
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
