internal import Glibc
public import HoldfastCore
internal import Synchronization

/// Huge pages that were added to a pool, until they are given back.
///
/// Nothing is given back by itself: pages may outlive the process that asked for them, in files on
/// hugetlbfs. Whoever wants them back calls ``giveBack()`` on every way out.
public final class HugePagePoolIncrease: Sendable {
  /// The pool that was raised.
  public let pool: HugePagePool
  /// The pages that were asked for, and came.
  public let count: PageCount
  /// By how much the pool's setting rose: `count`, and the surplus pages that it took in.
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

  /// Whether the pages have been given back.
  public var isGivenBack: Bool { state.load(ordering: .acquiring) == State.given }

  /// Lowers the pool by exactly what was added, whatever others did to it meanwhile, but not below
  /// zero. Pages still in use then become surplus and go when they are freed.
  ///
  /// May be called from any thread, that of a Dispatch signal source too, and more than once: the
  /// first call gives back, others wait for it and do nothing. Where it fails the pages are still
  /// held, and the next call tries again.
  public func giveBack() throws(HoldfastError) {
    while true {
      let (won, found) = state.compareExchange(
        expected: State.held, desired: State.giving, ordering: .acquiringAndReleasing)
      if won { break }
      if found == State.given { return }
      // Another thread is at it. To return before it is done might let the process exit too soon.
      usleep(1000)
    }
    let lock = HostLock(files: pool.files)
    defer { lock.release() }
    do {
      try pool.lower(by: added)
    } catch {
      state.store(State.held, ordering: .releasing)
      throw error
    }
    state.store(State.given, ordering: .releasing)
  }
}

/// A lock among the processes, and threads, that raise and lower pools on one host: flock(2) on
/// /proc/sys/vm/compact_memory, which, unlike nr_hugepages, only root can open, so that no ordinary
/// user can hold it. Where it cannot be had, as in a made-up tree, the work goes on without.
struct HostLock {
  private let descriptor: Int32

  /// Takes the lock, or gives up after ten seconds: giving pages back must not hang for ever.
  init(files: HostFiles) {
    guard let path = files.path("/proc/sys/vm/compact_memory") else {
      descriptor = -1
      return
    }
    // SAFETY: the path's bytes live through the call.
    descriptor = unsafe open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return }
    for _ in 0..<2000 {
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return }
      guard errno == EWOULDBLOCK || errno == EINTR else { return }
      usleep(5000)
    }
  }

  /// Lets go of the lock.
  func release() {
    if descriptor >= 0 { _ = close(descriptor) }
  }
}
