public import HoldfastCore
internal import HoldfastLinux

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
  ///   - threads: how many threads read memory, look for zeros, and take turns to write, each 1 MiB
  ///     at a time, at most 64; nil for one for each processor, but 4 to 8, because they also wait.
  ///   - cancellation: ends the call, with the code `cancelled`.
  ///   - progress: called with the bytes of the range that are done.
  /// - Returns: what was written.
  /// - Throws: code `invalidArgument` for a range that is empty, unaligned or beyond the limit, and
  ///   a path that does not name a regular file or a new one; `invalidAddress` where nothing is
  ///   mapped; `protectionFailure` where memory is not readable; `pagerFailure` and
  ///   `resourceShortage` where a page of a restored segment cannot be read or has no free frame;
  ///   `host` where the file cannot be written; `cancelled`.
  /// - Complexity: O(resident bytes). Takes the address space's lock shared, 128 KiB at a time.
  @discardableResult
  public func save(
    _ range: AddressRange, to path: String, threads: Int? = nil,
    cancellation: CancellationToken = CancellationToken(), progress: SnapshotProgress? = nil
  ) throws(HoldfastError) -> SnapshotReceipt {
    let operation = "save \(range.length) of guest memory to \(path)"
    let start = Instant.now
    let parts = try partsToSave(range, operation)
    let target = try SnapshotFile(path, operation: operation)
    let file = try target.begin(size: range.length)
    let written = try save(
      range, parts, to: SnapshotTarget(snapshot: target, file: file), threads, cancellation,
      progress)
    let whole = Instant.now
    try target.finish(file)
    return SnapshotReceipt(
      path: path, bytes: range.length, writtenBytes: written, duration: Instant.now - start,
      syncDuration: Instant.now - whole)
  }

  /// The populated parts of a range that is to be saved.
  ///
  /// - Throws: code `invalidArgument` for a range that is empty, unaligned or beyond the limit;
  ///   `invalidAddress` where nothing is mapped.
  func partsToSave(
    _ range: AddressRange, _ operation: String
  ) throws(HoldfastError) -> [AddressRange] {
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
    return parts
  }

  /// Copies the populated parts of a range to a target, and returns how much was written.
  func save(
    _ range: AddressRange, _ parts: [AddressRange], to target: any SaveTarget, _ threads: Int?,
    _ cancellation: CancellationToken, _ progress: SnapshotProgress?
  ) throws(HoldfastError) -> ByteCount {
    try SaveWork(self, target, range, parts, cancellation, progress)
      .perform(threads: threads ?? max(4, min(8, host.parallelism)))
  }
}
