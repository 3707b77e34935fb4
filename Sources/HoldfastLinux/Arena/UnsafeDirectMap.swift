internal import CHoldfastLinux
internal import Glibc
internal import HoldfastCore
internal import SystemPackage

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

  /// Up to so many bytes are zeroed or copied on the calling thread alone: waking a thread takes as
  /// long as zeroing some hundred kilobytes.
  private static let alone: UInt64 = 1 << 20
  /// The bytes that a thread copies at once.
  private static let copyPiece: UInt64 = 2 << 20

  private func offset(_ frame: Frame) -> ByteCount { geometry.bytes(frame - Frame(0)) }

  private func check(_ offset: ByteCount, _ count: UInt64) {
    precondition(
      offset <= range.length && count <= (range.length - offset).rawValue,
      "bytes outside of the arena")
  }

  /// Zeroes runs of frames, on several threads if they are large.
  func zero(_ runs: [FrameRun]) {
    var pieces = Pieces(self, limit: UInt64(Zeroing.piece))
    for run in runs { pieces.add(run, number: 0) }
    pieces.perform { piece in zero(piece.offset, piece.count) }
  }

  /// Zeroes a run of frames in a named way, on several threads.
  func zero(_ run: FrameRun, by kernel: ZeroingKernel) {
    var pieces = Pieces(self, limit: UInt64(Zeroing.piece))
    pieces.add(run, number: 0)
    let number = kernel.number
    pieces.perform { piece in
      // SAFETY: `add` has checked the piece.
      unsafe hf_zero_by(number, range.pointer(at: piece.offset), Int(piece.count))
    }
  }

  /// Copies runs of frames, on several threads if they are large.
  func copy(_ copies: [FrameCopy]) {
    var pieces = Pieces(self, limit: Self.copyPiece)
    for (number, part) in copies.enumerated() {
      let (from, length) = (offset(part.source.start), geometry.bytes(part.source.count))
      check(from, length.rawValue)
      pieces.add(FrameRun(part.destination, part.source.count), number: number)
    }
    pieces.perform { piece in
      let part = copies[piece.number]
      let ahead = piece.offset - offset(part.destination)
      let from = offset(part.source.start) + ahead
      // SAFETY: `add` and the check above have checked both parts; copies do not overlap.
      unsafe hf_copy_streaming(
        range.pointer(at: piece.offset), range.pointer(at: from), Int(piece.count))
    }
  }

  /// Work on runs of frames, cut into pieces that threads take one after the other.
  private struct Pieces {
    struct Piece: Sendable {
      var offset: ByteCount
      var count: UInt64
      /// The number of the run.
      var number: Int
    }

    private let map: DirectMap
    private let limit: UInt64
    private var byPart: [[Piece]]
    private var total: UInt64 = 0

    /// No pieces yet; each gets at most `limit` bytes.
    init(_ map: DirectMap, limit: UInt64) {
      self.map = map
      self.limit = limit
      byPart = [[Piece]](repeating: [], count: map.parts.count)
    }

    mutating func add(_ run: FrameRun, number: Int) {
      var start = map.offset(run.start)
      let length = map.geometry.bytes(run.count).rawValue
      map.check(start, length)
      total += length
      let end = start + ByteCount(length)
      while start < end {
        let part = map.part(of: start)
        let rest = min(end.rawValue, map.parts[part].bytes.upperBound) - start.rawValue
        let count = min(limit, rest)
        byPart[part].append(Piece(offset: start, count: count, number: number))
        start += ByteCount(count)
      }
    }

    /// Calls `body` with each piece, on threads that are near the frames.
    func perform(_ body: @escaping @Sendable (Piece) -> Void) {
      if total <= DirectMap.alone {
        for piece in byPart.joined() { body(piece) }
        return
      }
      let work = byPart
      // A thread that cannot be pinned is slower; the arena's preparation has reported that.
      _ = Workers.perform(
        zip(work, map.parts).map { Workers.Group(count: $0.count, processors: $1.processors) },
        threads: map.threads
      ) { group, number in
        body(work[group][number])
        return true
      }
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

  /// Reads bytes of a file into frames; fewer than `count` where the file ends.
  func read(
    _ file: DiskReader, at offset: UInt64, into frame: Frame, count: UInt64
  ) throws(Errno) -> UInt64 {
    let start = self.offset(frame)
    check(start, count)
    // SAFETY: checked. The kernel writes to the memory; no reference to it is made.
    let bytes = unsafe UnsafeMutableRawBufferPointer(
      start: range.pointer(at: start), count: Int(count))
    return try UInt64(unsafe file.read(bytes, at: offset))
  }

  /// Copies `bytes` to an offset in a frame. An aligned word of 1, 2, 4 or 8 bytes is written at
  /// once, as a processor writes it.
  func write(_ bytes: RawSpan, to frame: Frame, offset: ByteCount) {
    let to = self.offset(frame) + offset
    check(to, UInt64(bytes.byteCount))
    unsafe bytes.withUnsafeBytes { buffer in
      guard let base = buffer.baseAddress else { return }
      let place = unsafe range.pointer(at: to)
      guard buffer.count > 0, to.rawValue.isMultiple(of: UInt64(buffer.count)) else {
        unsafe memcpy(place, base, buffer.count)
        return
      }
      switch buffer.count {
      case 1: unsafe place.storeBytes(of: base.load(as: UInt8.self), as: UInt8.self)
      case 2: unsafe place.storeBytes(of: base.loadUnaligned(as: UInt16.self), as: UInt16.self)
      case 4: unsafe place.storeBytes(of: base.loadUnaligned(as: UInt32.self), as: UInt32.self)
      case 8: unsafe place.storeBytes(of: base.loadUnaligned(as: UInt64.self), as: UInt64.self)
      default: unsafe memcpy(place, base, buffer.count)
      }
    }
  }
}
