public import HoldfastCore
internal import HoldfastLinux
internal import Synchronization
internal import SystemPackage

/// Called while a snapshot is saved or restored, from any thread, with the bytes that are done and
/// all bytes.
public typealias SnapshotProgress = @Sendable (_ done: ByteCount, _ total: ByteCount) -> Void

extension GuestMemory {
  /// Saves a range to a file, a raw image in which the byte of address `a` is at offset `a` minus
  /// the start of the range. Blocks of 4 KiB that are zero, absent or not mapped are holes; absent
  /// pages stay absent.
  ///
  /// Stop the guest for the time of the call, or `fork` it and save the fork while the guest runs:
  /// the image is consistent only if no thread writes meanwhile. Pages of a restored segment are
  /// read from their file and stay resident.
  ///
  /// The file gets its name when it is complete and on its disk, and replaces a regular file of
  /// that name. Only its owner may access it (mode 0600). If the call fails, it leaves no file
  /// behind, and an older file stays as it was.
  ///
  /// - Parameters:
  ///   - range: whole pages, at least one of them mapped.
  ///   - path: the file's path; its folder exists.
  ///   - threads: how many threads read memory and look for zeros; nil for one for each processor,
  ///     at most 4.
  ///   - progress: called with the bytes of the range that are done.
  /// - Returns: what was written.
  /// - Throws: code `invalidArgument` for a range that is empty, unaligned or beyond the limit, and
  ///   a path that does not name a regular file or a new one; `invalidAddress` where nothing is
  ///   mapped; `protectionFailure` where memory is not readable; `pagerFailure` and
  ///   `resourceShortage` where a page of a restored segment cannot be read or has no free frame;
  ///   `host` where the file cannot be written.
  /// - Complexity: O(resident bytes). Takes the address space's lock shared, 128 KiB at a time.
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
        reason: "the range \(range) is empty, not aligned to \(page), or exceeds the guest's limit "
          + "of \(limit)")
    }
    let (parts, mapped) = space.populatedParts(of: range)
    guard mapped > .zero else {
      throw HoldfastError(
        .invalidAddress, operation: operation, range: range,
        reason: "nothing is mapped in the range")
    }
    let target = try SnapshotFile(path, operation: operation)
    let file = try target.begin(size: range.length)
    let work = SaveWork(self, file, target, range, parts, progress)
    let written = try work.perform(threads: threads ?? min(4, host.parallelism))
    let whole = clock.now
    try target.finish(file)
    return SnapshotReceipt(
      path: path, bytes: range.length, writtenBytes: written, duration: clock.now - start,
      syncDuration: clock.now - whole)
  }
}

/// Copies the populated parts of a range to a file, with several threads.
private final class SaveWork: Sendable {
  /// How much a thread copies at once.
  private static let piece = ByteCount.mebibytes(1)

  private let memory: GuestMemory
  private let file: ImageFile
  private let target: SnapshotFile
  private let range: AddressRange
  private let pieces: [AddressRange]
  private let progress: SnapshotProgress?
  private let written = Atomic<UInt64>(0)
  private let done: Atomic<UInt64>
  private let lock = Lock()
  /// Protected by `lock`.
  private nonisolated(unsafe) var failure: HoldfastError?

  init(
    _ memory: GuestMemory, _ file: ImageFile, _ target: SnapshotFile, _ range: AddressRange,
    _ parts: [AddressRange], _ progress: SnapshotProgress?
  ) {
    self.memory = memory
    self.file = file
    self.target = target
    self.range = range
    self.progress = progress
    var pieces: [AddressRange] = []
    var left = range.length
    for part in parts {
      left -= part.length
      var start = part.start
      while start < part.end {
        let end = min(part.end, start + Self.piece)
        pieces.append(AddressRange(from: start, to: end))
        start = end
      }
    }
    self.pieces = pieces
    done = Atomic(left.rawValue)
  }

  /// Copies everything, and returns how much was written.
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
      throw target.failure(error)
    }
    written.wrappingAdd(count.rawValue, ordering: .relaxed)
    let sum = done.wrappingAdd(length.rawValue, ordering: .relaxed).newValue
    progress?(ByteCount(sum), range.length)
  }
}
