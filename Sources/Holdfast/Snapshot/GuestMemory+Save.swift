public import HoldfastCore
internal import HoldfastLinux
internal import Synchronization
internal import SystemPackage

/// How far saving or restoring is, from any thread.
public typealias SnapshotProgress = @Sendable (_ done: ByteCount, _ total: ByteCount) -> Void

extension GuestMemory {
  /// Saves a range to a file: a raw image, in which the byte of address `a` is at `a` less the range's
  /// start. Blocks of 4 KiB that are zero are holes, and so is what is absent, which stays absent, or not
  /// mapped.
  ///
  /// The image is that of one moment only if nobody writes meanwhile: stop the guest, or `fork` it and save
  /// the fork while the guest goes on. What has a pager (`restoreSegment`) is brought in.
  ///
  /// The file gets its name when it is complete and on its disk, in place of a regular file that had it,
  /// and is its owner's alone (0600). If anything fails nothing is left behind and an older file stays as
  /// it was.
  ///
  /// - Parameters:
  ///   - range: whole pages of the arena's, some of it mapped.
  ///   - path: its folder is there.
  ///   - threads: how many read, and look for zeros; by default one for each processor, at most 4.
  ///   - progress: of the range's bytes; may be called from any thread.
  /// - Throws: codes `invalidArgument` for a range that is empty, not aligned or beyond the limit, and for a
  ///   path of something else than a file; `invalidAddress` where nothing is mapped; `protectionFailure` for
  ///   memory that may not be read; `pagerFailure`; `host` where the file cannot be written.
  /// - Complexity: O(bytes that are in memory). Takes the address space's lock shared.
  @discardableResult
  public func save(
    _ range: AddressRange, to path: String, threads: Int? = nil,
    progress: SnapshotProgress? = nil
  ) throws(HoldfastError) -> SnapshotReceipt {
    let operation = "save \(range.length) of guest memory to \(path)"
    let clock = ContinuousClock()
    let start = clock.now
    let page = arena.geometry.pageSize
    guard !range.isEmpty, range.end <= .zero + limit, range.start.isAligned(to: page),
      range.end.isAligned(to: page)
    else {
      throw HoldfastError(
        .invalidArgument, operation: operation, range: range,
        reason: "\(range) is empty, no multiple of \(page), or beyond \(limit)")
    }
    let (parts, mapped) = space.populatedParts(of: range)
    guard mapped > .zero else {
      throw HoldfastError(
        .invalidAddress, operation: operation, range: range, reason: "nothing is mapped there")
    }
    let place = try SnapshotPlace(path, operation: operation)
    let file = try place.begin(size: range.length)
    let work = SaveWork(self, file, place, range, parts, progress)
    let written = try work.perform(threads: threads ?? min(4, host.parallelism))
    let whole = clock.now
    try place.finish(file)
    return SnapshotReceipt(
      path: path, bytes: range.length, writtenBytes: written, duration: clock.now - start,
      syncDuration: clock.now - whole)
  }
}

/// Copies the parts of a range that may hold something to a file, by several threads.
private final class SaveWork: Sendable {
  /// What a thread copies at once.
  private static let piece = ByteCount.mebibytes(1)

  private let memory: GuestMemory
  private let file: ImageFile
  private let place: SnapshotPlace
  private let range: AddressRange
  private let pieces: [AddressRange]
  private let progress: SnapshotProgress?
  private let written = Atomic<UInt64>(0)
  private let done: Atomic<UInt64>
  private let lock = Lock()
  /// Protected by `lock`.
  private nonisolated(unsafe) var failure: HoldfastError?

  init(
    _ memory: GuestMemory, _ file: ImageFile, _ place: SnapshotPlace, _ range: AddressRange,
    _ parts: [AddressRange], _ progress: SnapshotProgress?
  ) {
    self.memory = memory
    self.file = file
    self.place = place
    self.range = range
    self.progress = progress
    var pieces: [AddressRange] = []
    var left = range.length
    for part in parts {
      left -= part.length
      var start = part.start
      while start < part.end {
        let end = min(part.end, start + Self.piece)
        pieces.append(AddressRange(start, end))
        start = end
      }
    }
    self.pieces = pieces
    done = Atomic(left.rawValue)
  }

  /// Returns how much was written.
  func perform(threads: Int) throws(HoldfastError) -> ByteCount {
    progress?(ByteCount(done.load(ordering: .relaxed)), range.length)
    Workers.perform(pieces.count, threads: threads) { number in
      do throws(HoldfastError) {
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
    let length = piece.length
    var bytes = [UInt8](repeating: 0, count: Int(length.rawValue))
    // SAFETY: the spans cover `bytes` and do not outlive it.
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try memory.read(piece.start, into: &raw)
    let count: ByteCount
    do throws(Errno) {
      count = try unsafe file.write(bytes.span.bytes, at: piece.start - range.start)
    } catch {
      throw place.refusal(error)
    }
    written.wrappingAdd(count.rawValue, ordering: .relaxed)
    let sum = done.wrappingAdd(length.rawValue, ordering: .relaxed).newValue
    progress?(ByteCount(sum), range.length)
  }
}
