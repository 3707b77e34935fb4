internal import Glibc
public import HoldfastCore
internal import Synchronization

/// Huge pages that were added to a pool, until they are returned to the host.
///
/// They are not returned automatically, because files on hugetlbfs may need them after the
/// process has ended. A program that wants that calls ``giveBack()`` on every way out.
///
/// Safe to use from any thread.
public final class HugePagePoolIncrease: Sendable {
  /// The pool that was raised.
  public let pool: HugePagePool
  /// The pages that were requested and added.
  public let count: PageCount
  /// The increase of the pool's configured size: `count`, and surplus pages that became part of it.
  let added: PageCount

  private enum State {
    static let held: UInt8 = 0
    static let giving: UInt8 = 1
    static let given: UInt8 = 2
  }
  private let state = Atomic<UInt8>(State.held)

  init(pool: HugePagePool, count: PageCount, added: PageCount) {
    self.pool = pool
    self.count = count
    self.added = added
  }

  /// Whether the pages have been returned to the host.
  package var isGivenBack: Bool { state.load(ordering: .acquiring) == State.given }

  /// Lowers the pool by exactly the pages that were added, whatever other processes did to it
  /// meanwhile, but not below zero. Pages still in use become surplus, and leave the pool when they
  /// are freed.
  ///
  /// May be called from any thread and more than once: the first call gives the pages back, others
  /// wait for it and have no effect.
  ///
  /// - Throws: `HoldfastError` with code `host` if the kernel refuses. The pages are still held
  ///   then, and the next call tries again.
  public func giveBack() throws(HoldfastError) {
    while true {
      let (won, found) = state.compareExchange(
        expected: State.held, desired: State.giving, ordering: .acquiringAndReleasing)
      if won { break }
      if found == State.given { return }
      // Another thread is lowering the pool. To return before it has might end the process too
      // soon.
      usleep(1000)
    }
    let lock = HostLock(files: pool.files)
    defer { lock.unlock() }
    do {
      try pool.lower(by: added)
    } catch {
      state.store(State.held, ordering: .releasing)
      throw error
    }
    state.store(State.given, ordering: .releasing)
  }
}
