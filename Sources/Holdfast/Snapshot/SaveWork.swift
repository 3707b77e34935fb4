internal import HoldfastCore
internal import HoldfastLinux
internal import Synchronization
internal import SystemPackage

/// The copy of the populated parts of a range to a file, by several threads.
///
/// The parts are cut into *pieces*. A thread takes the next piece, copies it out of the guest's
/// memory, looks for zeros, writes the rest, and takes another. One thread writes at a time
/// (`ImageWriter`), while others copy and the disk works on what was written before.
///
/// Invariants:
///
/// - A piece lies between two multiples of `piece`, so no block of the file belongs to two of them,
///   and pieces are written in any order.
/// - A thread copies a piece to a buffer of its own, under the locks that keep its frames from
///   going to another guest, and holds none of these while it writes, so no fault waits for the disk.
/// - As many buffers exist as threads at most; none is used by two threads at once.
/// - The first failure is the one that is thrown. After it no thread takes a piece.
final class SaveWork: Sendable {
  /// The most threads, however many a caller asks for: each takes a buffer.
  static let mostThreads = 64
  /// The size of a buffer, which fits into a processor's cache, and of the pieces except those that
  /// a part's ends cut.
  private static let piece = ByteCount.mebibytes(1)

  private let memory: GuestMemory
  private let target: any SaveTarget
  private let range: AddressRange
  private let pieces: [AddressRange]
  private let cancellation: CancellationToken
  private let progress: SnapshotProgress?
  private let written = Atomic<UInt64>(0)
  private let done: Atomic<UInt64>
  private let lock = Lock()
  /// The buffers that no thread uses. Protected by `lock`.
  private nonisolated(unsafe) var buffers: [TransferBuffer] = []
  /// Protected by `lock`.
  private nonisolated(unsafe) var failure: HoldfastError?

  init(
    _ memory: GuestMemory, _ target: any SaveTarget, _ range: AddressRange,
    _ parts: [AddressRange], _ cancellation: CancellationToken, _ progress: SnapshotProgress?
  ) {
    self.memory = memory
    self.target = target
    self.range = range
    self.cancellation = cancellation
    self.progress = progress
    pieces = Self.pieces(of: parts, from: range.start)
    done = Atomic(parts.reduce(range.length) { $0 - $1.length }.rawValue)
  }

  /// Cuts parts at multiples of a piece in the file.
  private static func pieces(of parts: [AddressRange], from origin: Address) -> [AddressRange] {
    var pieces: [AddressRange] = []
    for part in parts {
      var start = part.start
      while start < part.end {
        let rest = Self.piece.rawValue - (start - origin).rawValue % Self.piece.rawValue
        let end = min(part.end, start + ByteCount(rest))
        pieces.append(AddressRange(from: start, to: end))
        start = end
      }
    }
    return pieces
  }

  /// Copies everything, and returns how much was written.
  func perform(threads: Int) throws(HoldfastError) -> ByteCount {
    progress?(ByteCount(done.load(ordering: .relaxed)), range.length)
    let threads = min(threads, Self.mostThreads)
    Workers.perform(pieces.count, threads: threads) { number in
      do throws(HoldfastError) {
        try cancellation.check(target.operation)
        try copy(pieces[number])
        return true
      } catch {
        lock.withLock { if unsafe failure == nil { unsafe failure = error } }
        return false
      }
    }
    if let failure = lock.withLock({ unsafe failure }) { throw failure }
    return ByteCount(written.load(ordering: .relaxed))
  }

  private func copy(_ piece: AddressRange) throws(HoldfastError) {
    let buffer = try takeBuffer()
    defer { lock.withLock { unsafe buffers.append(buffer) } }
    let count = try buffer.withBytes(piece.length) { (bytes) throws(HoldfastError) in
      try memory.read(piece.start, into: &bytes)
      return try target.write(bytes.bytes, at: piece.start - range.start)
    }
    written.wrappingAdd(count.rawValue, ordering: .relaxed)
    let sum = done.wrappingAdd(piece.length.rawValue, ordering: .relaxed).newValue
    progress?(ByteCount(sum), range.length)
  }

  /// A buffer that no thread uses, or a new one.
  private func takeBuffer() throws(HoldfastError) -> TransferBuffer {
    if let buffer = lock.withLock({ unsafe buffers.popLast() }) { return buffer }
    do throws(Errno) {
      return try TransferBuffer(Self.piece)
    } catch {
      throw HoldfastError(
        .host, operation: target.operation, reason: "there is no memory for a buffer",
        errno: error.rawValue, advice: .other("fewer threads"))
    }
  }
}

extension CancellationToken {
  /// Throws the error of a cancelled operation if ``cancel()`` has been called.
  func check(_ operation: String) throws(HoldfastError) {
    guard isCancelled else { return }
    throw HoldfastError(.cancelled, operation: operation, reason: "the caller cancelled it")
  }
}
