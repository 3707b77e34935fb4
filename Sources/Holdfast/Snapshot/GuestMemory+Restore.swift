public import HoldfastCore
internal import HoldfastLinux
internal import Synchronization

extension GuestMemory {
  /// Creates a segment with the contents of a file: a snapshot that `save` wrote, or any other
  /// file. Restore on demand or prefetch. Pages in holes of the file are zero without being read.
  /// Writes stay in memory and do not change the file.
  ///
  /// The call opens the file, which must not change while the segment exists. If it becomes
  /// shorter, a fault fails with `pagerFailure`, and no thread gets SIGBUS.
  ///
  /// - Parameters:
  ///   - name: the segment's name, not empty.
  ///   - path: a regular file that is not empty. The segment has its size, rounded up to the
  ///     arena's page size.
  ///   - prefetch: when the pages are read.
  ///   - cancellation: ends prefetching, with the code `cancelled`.
  ///   - progress: called with the bytes that were prefetched.
  /// - Returns: the segment, to be mapped.
  /// - Throws: code `invalidArgument` where the file is empty, the name is empty or used by a
  ///   segment of another size, or the guest is in the arena's own mapping and `prefetch` is not
  ///   `onDemand`; `alreadyExists` where a segment has the name and the size; `host` where the file
  ///   is not a regular one or cannot be read; with prefetching also `pagerFailure`,
  ///   `resourceShortage` where frames run out, and `cancelled`. The call leaves no segment behind
  ///   then.
  /// - Complexity: O(parts of the file between holes), or O(bytes) with prefetching.
  public func restoreSegment(
    _ name: String, from path: String, prefetch: SnapshotPrefetch = .onDemand,
    cancellation: CancellationToken = CancellationToken(), progress: SnapshotProgress? = nil
  ) throws(HoldfastError) -> MemorySegment {
    if prefetch != .onDemand, directStart != nil {
      throw HoldfastError(
        .invalidArgument, operation: "restore the segment \(name)",
        reason:
          "the guest is in the arena's own mapping, where only a mapped segment has room",
        advice: .other("restore on demand: wiring the mapping reads all of the file"))
    }
    let pager = try FilePager(path: path, geometry: arena.geometry)
    guard pager.length > .zero, let size = pager.length.roundedUp(to: arena.geometry.pageSize)
    else {
      throw HoldfastError(
        .invalidArgument, operation: "restore the segment \(name)", reason: "\(path) is empty")
    }
    let segment = try allocateSegment(name, size: size, pager: pager)
    guard case .prefetched(let threads) = prefetch else { return segment }
    do throws(HoldfastError) {
      try pager.readingPastCache { () throws(HoldfastError) in
        try readAll(segment, pager, threads: threads, cancellation, progress)
      }
    } catch {
      try freeSegment(segment)
      throw error
    }
    return segment
  }

  private func readAll(
    _ segment: MemorySegment, _ pager: FilePager, threads: Int,
    _ cancellation: CancellationToken, _ progress: SnapshotProgress?
  ) throws(HoldfastError) {
    let geometry = arena.geometry
    let operation = "restore the segment \(segment.name)"
    let free = { geometry.bytes(self.space.memory.available) }
    // Not after all that fits was read. And the list of pieces has a bound: a file such as
    // /proc/kcore has 128 TiB and no hole.
    guard pager.dataLength <= arena.size else {
      throw HoldfastError(
        .resourceShortage, operation: operation,
        reason: "the file has \(HostReport.rounded(pager.dataLength)) of data, more than the arena",
        advice: .enlargeArena(free: free(), total: arena.size))
    }
    let pieces = pager.dataPieces(of: .mebibytes(2))
    let done = Atomic<UInt64>(0)
    let lock = Lock()
    nonisolated(unsafe) var failure: HoldfastError?
    progress?(.zero, pager.dataLength)
    // The threads wait for the disk, so there may be more of them than processors.
    let threads = min(threads, SaveWork.mostThreads)
    Workers.perform(pieces.count, threads: threads) { number in
      do throws(HoldfastError) {
        try cancellation.check(operation)
        try segment.object.pageInAll(pieces[number])
      } catch {
        lock.withLock { if unsafe failure == nil { unsafe failure = error } }
        return false
      }
      let count = geometry.bytes(pieces[number].count).rawValue
      let sum = done.wrappingAdd(count, ordering: .relaxed).newValue
      progress?(ByteCount(sum), pager.dataLength)
      return true
    }
    guard let failure = lock.withLock({ unsafe failure }) else { return }
    throw failure.during(
      operation,
      advice: failure.code == .resourceShortage
        ? .enlargeArena(free: free(), total: arena.size) : nil)
  }
}
