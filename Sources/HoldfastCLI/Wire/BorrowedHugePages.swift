internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux

/// Huge pages that this run of the program added to the pools, and returns however it ends.
///
/// Safe to use from any thread: adding pages and returning them, perhaps on the signal thread,
/// exclude each other, so that no pages are added after the last return.
final class BorrowedHugePages: Sendable {
  private let lock = Lock()
  // Protected by `lock`.
  private nonisolated(unsafe) var reservations: [HugePagePoolIncrease] = []
  private nonisolated(unsafe) var isClosed = false

  /// Adds pages to a pool. Does not return once `close` was called, when the process is about to
  /// end.
  func add(_ count: PageCount, to pool: HugePagePool) throws(HoldfastError) {
    lock.lock()
    while unsafe isClosed {
      lock.unlock()
      pause()
      lock.lock()
    }
    defer { lock.unlock() }
    unsafe reservations.append(try pool.increase(by: count))
  }

  /// Returns the pages that were added, if any. Pages in use leave the pool when they are freed.
  func giveBack() throws(HoldfastError) {
    try lock.withLock { () throws(HoldfastError) in try giveBackLocked() }
  }

  /// Returns the pages on a signal; none can be added afterwards.
  func close() throws(HoldfastError) {
    try lock.withLock { () throws(HoldfastError) in
      unsafe isClosed = true
      try giveBackLocked()
    }
  }

  /// Returns all pages, even if one pool fails.
  private func giveBackLocked() throws(HoldfastError) {
    var problem: HoldfastError?
    for reservation in unsafe reservations {
      do throws(HoldfastError) {
        try reservation.giveBack()
      } catch {
        problem = problem ?? error
      }
    }
    if let problem { throw problem }
  }
}
