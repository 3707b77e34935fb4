internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux

/// Huge pages that this run of the program has reserved, to be given back on every way out.
///
/// Safe to use from any thread: what reserves and what gives back, perhaps the signals' thread, wait
/// for each other, so that no pages can come after the last look.
final class BorrowedHugePages: Sendable {
  private let lock = Lock()
  // Protected by `lock`.
  private nonisolated(unsafe) var reservations: [HugePagePoolIncrease] = []
  private nonisolated(unsafe) var isClosed = false

  /// Reserves pages, of one pool after the other. Does not return once the loan is closed, when the process is
  /// about to end.
  func take(_ count: PageCount, from pool: HugePagePool) throws(HoldfastError) {
    lock.lock()
    while unsafe isClosed {
      lock.unlock()
      pause()
      lock.lock()
    }
    defer { lock.unlock() }
    unsafe reservations.append(try pool.reserve(count))
  }

  /// Gives back what was taken, if anything. Pages that are still in use go when they are freed.
  func giveBack() throws(HoldfastError) {
    try lock.withLock { () throws(HoldfastError) in try giveBackLocked() }
  }

  /// Gives back on a signal: nothing can be taken any more.
  func close() throws(HoldfastError) {
    try lock.withLock { () throws(HoldfastError) in
      unsafe isClosed = true
      try giveBackLocked()
    }
  }

  /// Gives all of them back, also after one that cannot be given back.
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
