internal import Glibc

// The one file of the core with pointers: POSIX threads wants its locks at a fixed address.
// `Synchronization.Mutex` would do but for the false reports that ThreadSanitizer makes of it.

/// A mutual exclusion lock over `pthread_mutex_t`. Not recursive.
@safe public final class Lock: @unchecked Sendable {
  // SAFETY: allocated once, initialised before use, destroyed only when no reference remains.
  fileprivate let mutex: UnsafeMutablePointer<pthread_mutex_t>

  /// A lock that nobody holds.
  public init() {
    unsafe mutex = .allocate(capacity: 1)
    unsafe mutex.initialize(to: pthread_mutex_t())
    let status = unsafe pthread_mutex_init(mutex, nil)
    precondition(status == 0, "a mutex cannot be made")
  }

  deinit {
    unsafe pthread_mutex_destroy(mutex)
    unsafe mutex.deallocate()
  }

  /// Waits until nobody holds the lock, and takes it (`pthread_mutex_lock`).
  public func lock() {
    let status = unsafe pthread_mutex_lock(mutex)
    precondition(status == 0, "a mutex is broken")
  }

  /// Gives the lock back, by the thread that took it (`pthread_mutex_unlock`).
  public func unlock() {
    let status = unsafe pthread_mutex_unlock(mutex)
    precondition(status == 0, "a mutex is unlocked by a thread that does not hold it")
  }

  /// Calls `body` with the lock held.
  @inline(__always)
  public func withLock<Result: ~Copyable, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    lock()
    defer { unlock() }
    return try body()
  }
}

extension Lock {
  /// What threads wait for that hold the lock, which they do not while they wait (`pthread_cond_t`).
  @safe public final class Condition: @unchecked Sendable {
    // SAFETY: as in Lock.
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    public init() {
      unsafe condition = .allocate(capacity: 1)
      unsafe condition.initialize(to: pthread_cond_t())
      let status = unsafe pthread_cond_init(condition, nil)
      precondition(status == 0, "a condition cannot be made")
    }

    deinit {
      unsafe pthread_cond_destroy(condition)
      unsafe condition.deallocate()
    }

    /// Lets the lock go, waits for a signal, or for none, and takes the lock again.
    public func wait(_ lock: Lock) {
      unsafe pthread_cond_wait(condition, lock.mutex)
    }

    /// Wakes one who waits.
    public func signal() {
      unsafe pthread_cond_signal(condition)
    }

    /// Wakes all who wait.
    public func broadcast() {
      unsafe pthread_cond_broadcast(condition)
    }
  }
}

/// A lock that many may share or one may have alone, over `pthread_rwlock_t`. Not recursive.
@safe public final class SharedLock: @unchecked Sendable {
  // SAFETY: as in Lock.
  private let lock: UnsafeMutablePointer<pthread_rwlock_t>

  public init() {
    unsafe lock = .allocate(capacity: 1)
    unsafe lock.initialize(to: pthread_rwlock_t())
    // Faults share the lock without end while a guest runs; whoever maps or wires must get in.
    var attributes = pthread_rwlockattr_t()
    unsafe pthread_rwlockattr_init(&attributes)
    unsafe pthread_rwlockattr_setkind_np(
      &attributes, Int32(PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP))
    let status = unsafe pthread_rwlock_init(lock, &attributes)
    precondition(status == 0, "a shared lock cannot be made")
    unsafe pthread_rwlockattr_destroy(&attributes)
  }

  deinit {
    unsafe pthread_rwlock_destroy(lock)
    unsafe lock.deallocate()
  }

  /// Waits until nobody has the lock alone or waits to, and shares it (`pthread_rwlock_rdlock`).
  public func lockShared() {
    let status = unsafe pthread_rwlock_rdlock(lock)
    precondition(status == 0, "a shared lock is broken")
  }

  /// Waits until nobody has the lock, and takes it alone (`pthread_rwlock_wrlock`).
  public func lockExclusive() {
    let status = unsafe pthread_rwlock_wrlock(lock)
    precondition(status == 0, "a shared lock is broken")
  }

  /// Gives the lock back, however it was taken (`pthread_rwlock_unlock`).
  public func unlock() {
    let status = unsafe pthread_rwlock_unlock(lock)
    precondition(status == 0, "a shared lock is unlocked by a thread that does not hold it")
  }

  /// Calls `body` with the lock shared.
  @inline(__always)
  public func withSharedLock<Result: ~Copyable, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    lockShared()
    defer { unlock() }
    return try body()
  }

  /// Calls `body` with the lock held alone.
  @inline(__always)
  public func withExclusiveLock<Result: ~Copyable, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    lockExclusive()
    defer { unlock() }
    return try body()
  }
}

/// Something that happens again and again and can be waited for (FreeBSD: a sleep channel).
///
/// No wakeup is lost when the waiter takes its `ticket` while it holds the lock that guards the
/// condition, and the waker calls `announce` after it changed the condition under that lock.
@safe public final class Event: @unchecked Sendable {
  // SAFETY: as in Lock; `count` is read and written only with the mutex held.
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private var count: UInt64 = 0

  /// A moment in the event's history.
  public struct Ticket: Sendable {
    fileprivate let count: UInt64
  }

  public init() {
    unsafe mutex = .allocate(capacity: 1)
    unsafe mutex.initialize(to: pthread_mutex_t())
    unsafe condition = .allocate(capacity: 1)
    unsafe condition.initialize(to: pthread_cond_t())
    // Time limits are not to move with the host's clock.
    var attributes = pthread_condattr_t()
    unsafe pthread_condattr_init(&attributes)
    unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    let made =
      unsafe pthread_mutex_init(mutex, nil) == 0 && pthread_cond_init(condition, &attributes) == 0
    precondition(made, "an event cannot be made")
    unsafe pthread_condattr_destroy(&attributes)
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe condition.deallocate()
    unsafe pthread_mutex_destroy(mutex)
    unsafe mutex.deallocate()
  }

  /// Now. Taken with the lock of the condition held.
  public func ticket() -> Ticket {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return Ticket(count: count)
  }

  /// Returns once the event was announced after the ticket was taken. Called with no lock held that
  /// whoever announces it may want.
  public func wait(since ticket: Ticket) {
    unsafe pthread_mutex_lock(mutex)
    while count == ticket.count {
      unsafe pthread_cond_wait(condition, mutex)
    }
    unsafe pthread_mutex_unlock(mutex)
  }

  /// The same for at most `limit`. Returns whether the event was announced.
  public func wait(since ticket: Ticket, atMost limit: Duration) -> Bool {
    var end = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &end)
    let (seconds, attoseconds) = max(limit, .zero).components
    let nanoseconds = Int64(end.tv_nsec) + attoseconds / 1_000_000_000
    // No further than a time_t goes, whoever asks for it.
    end.tv_sec += Int(min(seconds, 1 << 32) + nanoseconds / 1_000_000_000)
    end.tv_nsec = Int(nanoseconds % 1_000_000_000)
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    while count == ticket.count {
      if unsafe pthread_cond_timedwait(condition, mutex, &end) == ETIMEDOUT {
        return count != ticket.count
      }
    }
    return true
  }

  /// Wakes all who wait.
  public func announce() {
    unsafe pthread_mutex_lock(mutex)
    count &+= 1
    unsafe pthread_cond_broadcast(condition)
    unsafe pthread_mutex_unlock(mutex)
  }
}
