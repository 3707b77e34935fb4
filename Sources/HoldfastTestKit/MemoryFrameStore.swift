package import HoldfastCore

/// A frame store in the test's own memory. It records for each frame a byte that fills it, and the
/// bytes written since, so that a store of many gigabytes takes a byte for each frame.
package final class MemoryFrameStore: FrameStore, @unchecked Sendable {
  private let pageSize: UInt64
  private let lock = Lock()
  // Protected by `lock`.
  private var fill: [UInt8]
  private var written: [UInt64: [UInt64: UInt8]] = [:]
  private var zeroedPages: UInt64 = 0
  /// The number of zeroed bytes of frames of which only a part was zeroed, from their start on.
  private var zeroedBytes: [UInt64: UInt64] = [:]
  private var hook: (@Sendable (_ source: FrameRun?, _ filled: [FrameRun]) -> Void)?

  /// A store of `count` frames from 0 on, all filled with `garbage`.
  package init(geometry: Geometry, count: PageCount, garbage: UInt8 = 0) {
    pageSize = geometry.pageSize.rawValue
    fill = [UInt8](repeating: garbage, count: Int(count.rawValue))
  }

  /// The number of frames that were zeroed so far.
  package var zeroed: PageCount { lock.withLock { PageCount(zeroedPages) } }

  /// Calls `body` before frames are zeroed, or become copies of `source`, without the lock: it may
  /// check which translations reach them, or wait for another thread.
  package func beforeFilling(
    _ body: (@Sendable (_ source: FrameRun?, _ filled: [FrameRun]) -> Void)?
  ) {
    lock.withLock { hook = body }
  }

  /// Fills frames with a byte, as a guest does that writes to all of its memory.
  package func soil(_ run: FrameRun, with byte: UInt8) {
    lock.withLock {
      for frame in run.start.rawValue..<run.end.rawValue {
        fill[Int(frame)] = byte
        written[frame] = nil
        if !zeroedBytes.isEmpty { zeroedBytes[frame] = nil }
      }
    }
  }

  /// One byte of a frame.
  package func byte(_ frame: Frame, _ offset: ByteCount) -> UInt8 {
    lock.withLock { written[frame.rawValue]?[offset.rawValue] ?? fill[Int(frame.rawValue)] }
  }

  /// Whether every byte of the run is zero.
  package func isZero(_ run: FrameRun) -> Bool {
    lock.withLock {
      for frame in run.start.rawValue..<run.end.rawValue {
        if fill[Int(frame)] != 0 { return false }
        if let bytes = written[frame], bytes.values.contains(where: { $0 != 0 }) { return false }
      }
      return true
    }
  }

  /// Zeroes the runs.
  package func zero(_ runs: [FrameRun]) {
    lock.withLock { hook }?(nil, runs)
    for run in runs {
      soil(run, with: 0)
      lock.withLock { zeroedPages += run.count.rawValue }
    }
  }

  /// Zeroes parts of frames, which must be zeroed from their start on. A frame changes only when
  /// all of it was zeroed: no other thread may read it before.
  package func zero(_ frame: Frame, offset: ByteCount, count: ByteCount) {
    var place = offset.rawValue
    let end = place + count.rawValue
    while place < end {
      let holder = frame.rawValue + place / pageSize
      let inside = place % pageSize
      let part = min(end - place, pageSize - inside)
      place += part
      if inside > 0, lock.withLock({ zeroedBytes[holder] }) != inside {
        preconditionFailure("a frame is not zeroed from its start on")
      }
      if inside + part < pageSize {
        lock.withLock { zeroedBytes[holder] = inside + part }
      } else {
        zero([FrameRun(Frame(holder), .one)])
      }
    }
  }

  /// Copies whole frames.
  package func copy(from source: FrameRun, to destination: Frame) {
    lock.withLock { hook }?(source, [FrameRun(destination, source.count)])
    lock.withLock {
      for index in 0..<source.count.rawValue {
        fill[Int(destination.rawValue + index)] = fill[Int(source.start.rawValue + index)]
        written[destination.rawValue + index] = written[source.start.rawValue + index]
      }
    }
  }

  /// Copies bytes from frames.
  package func read(
    _ frame: Frame, offset: ByteCount, into bytes: inout MutableRawSpan, _ range: Range<Int>
  ) {
    lock.withLock {
      for index in range {
        let place = offset.rawValue + UInt64(index - range.lowerBound)
        let holder = frame.rawValue + place / pageSize
        let byte = written[holder]?[place % pageSize] ?? fill[Int(holder)]
        bytes.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
      }
    }
  }

  /// Copies bytes to frames.
  package func write(_ bytes: RawSpan, to frame: Frame, offset: ByteCount) {
    // Whole pages of one byte are common, and slow byte by byte.
    if offset == .zero, bytes.byteCount == Int(pageSize), let byte = single(bytes) {
      soil(FrameRun(frame, .one), with: byte)
      return
    }
    lock.withLock {
      for index in bytes.byteOffsets {
        let place = offset.rawValue + UInt64(index)
        let byte = unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
        written[frame.rawValue + place / pageSize, default: [:]][place % pageSize] = byte
      }
    }
  }

  private func single(_ bytes: RawSpan) -> UInt8? {
    let first = unsafe bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self)
    for index in bytes.byteOffsets
    where unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self) != first {
      return nil
    }
    return first
  }
}
