internal import CHoldfastLinux
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

  /// Pieces are no larger than this when they are shared out, and smaller amounts are zeroed by the
  /// caller alone: waking a thread costs as much as zeroing some hundred kilobytes.
  private static let piece: UInt64 = 16 << 20
  private static let alone: UInt64 = 1 << 20

  private func offset(_ frame: Frame) -> ByteCount { geometry.bytes(frame - Frame(0)) }

  private func check(_ offset: ByteCount, _ count: UInt64) {
    precondition(
      offset <= range.length && count <= (range.length - offset).rawValue,
      "bytes outside of the arena")
  }

  func zero(_ runs: [FrameRun]) {
    var pieces: [(offset: ByteCount, count: UInt64)] = []
    var total: UInt64 = 0
    for run in runs {
      let start = offset(run.start)
      let length = geometry.bytes(run.count).rawValue
      check(start, length)
      total += length
      var done: UInt64 = 0
      while done < length {
        let count = min(Self.piece, length - done)
        pieces.append((start + ByteCount(done), count))
        done += count
      }
    }
    let work = pieces
    Workers.perform(work.count, threads: total <= Self.alone ? 1 : threads) { number in
      unsafe hf_zero(range.pointer(at: work[number].offset), Int(work[number].count))
      return true
    }
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
