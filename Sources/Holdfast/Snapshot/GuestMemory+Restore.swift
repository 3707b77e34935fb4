public import HoldfastCore
internal import HoldfastLinux
internal import Synchronization

extension GuestMemory {
  /// Makes a segment of what a file holds: an image that `save` made, or any other file. Its pages come
  /// from the file when they are needed, or before; those in holes of the file are zero without being
  /// read. What is written to them stays in memory, and the file as it is.
  ///
  /// The file is opened once and has to stay as it is while the segment lives. One that becomes shorter is
  /// a fault that cannot be served (`pagerFailure`), never SIGBUS.
  ///
  /// - Parameters:
  ///   - name: not empty.
  ///   - path: a regular file that is not empty. Its size, rounded up to the arena's page, is the segment's.
  ///   - progress: of the bytes that are read ahead.
  /// - Throws: as `allocateSegment`, code `host` where the file cannot be read, and where it is read ahead
  ///   `pagerFailure` and `resourceShortage`, and with the backing thp-private `invalidArgument`; there is no
  ///   segment then.
  public func restoreSegment(
    _ name: String, from path: String, prefetch: SnapshotPrefetch = .onDemand,
    progress: SnapshotProgress? = nil
  ) throws(HoldfastError) -> MemorySegment {
    if prefetch != .onDemand, placement != nil {
      throw HoldfastError(
        .invalidArgument, operation: "restore the segment \(name)",
        reason:
          "\(arena.backing.rawValue) is private memory, in which the segment has no place yet",
        advice: .other("restore it on demand: mapping it wired reads all of it"))
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
      try bringIn(segment, pager, threads: threads, progress)
    } catch {
      try freeSegment(segment)
      throw error
    }
    return segment
  }

  private func bringIn(
    _ segment: MemorySegment, _ pager: FilePager, threads: Int, _ progress: SnapshotProgress?
  ) throws(HoldfastError) {
    let geometry = arena.geometry
    let pieces = pager.dataPieces(of: .mebibytes(2))
    let done = Atomic<UInt64>(0)
    let lock = Lock()
    nonisolated(unsafe) var failure: HoldfastError?
    progress?(.zero, pager.dataLength)
    Workers.perform(pieces.count, threads: threads) { number in
      do throws(HoldfastError) {
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
    let free = geometry.bytes(space.memory.available)
    throw failure.during(
      "restore the segment \(segment.name)",
      advice: failure.code == .resourceShortage
        ? .enlargeArena(free: free, total: arena.size) : nil)
  }
}
