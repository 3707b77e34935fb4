internal import Glibc

/// Something that happens repeatedly and that threads wait for (FreeBSD: a sleep channel).
///
/// No wakeup is lost if the waiting thread takes its `ticket` while it holds the lock that guards
/// the condition, and the waking thread calls `announce` after it changed the condition under that
/// lock. The event's own mutex is a leaf: it may be taken under any other lock.
@safe package final class Event: @unchecked Sendable {
  // SAFETY: both are allocated once, initialised before use and destroyed only when no reference
  // remains. `count` and `sleepers` are read and written only with the mutex held.
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private var count: UInt64 = 0
  /// The threads in `wait(since:)`.
  private var sleepers = 0

  /// A moment in the event's history.
  package struct Ticket: Sendable {
    fileprivate let count: UInt64
  }

  /// An event that has not happened and that no thread waits for.
  package init() {
    unsafe mutex = .allocate(capacity: 1)
    unsafe mutex.initialize(to: pthread_mutex_t())
    unsafe condition = .allocate(capacity: 1)
    unsafe condition.initialize(to: pthread_cond_t())
    // Time limits must not follow changes of the host's clock.
    var attributes = pthread_condattr_t()
    unsafe pthread_condattr_init(&attributes)
    unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    // glibc refuses other attributes alone, and allocates nothing.
    let made =
      unsafe pthread_mutex_init(mutex, nil) == 0 && pthread_cond_init(condition, &attributes) == 0
    precondition(made, "pthread_mutex_init or pthread_cond_init failed")
    unsafe pthread_condattr_destroy(&attributes)
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe condition.deallocate()
    unsafe pthread_mutex_destroy(mutex)
    unsafe mutex.deallocate()
  }

  /// The present moment. Called with the lock of the condition held.
  package func ticket() -> Ticket {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return Ticket(count: count)
  }

  /// Returns once the event was announced after the ticket was taken. Called without any lock that
  /// the announcing thread may need.
  package func wait(since ticket: Ticket) {
    unsafe pthread_mutex_lock(mutex)
    sleepers += 1
    while count == ticket.count {
      unsafe pthread_cond_wait(condition, mutex)
    }
    sleepers -= 1
    unsafe pthread_mutex_unlock(mutex)
  }

  /// The number of threads that wait without a limit, for tests.
  package var waitingThreads: Int {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return sleepers
  }

  /// Does the same, but returns after `limit` at the latest.
  ///
  /// - Returns: whether the event was announced.
  package func wait(since ticket: Ticket, atMost limit: Duration) -> Bool {
    var end = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &end)
    // A longer limit than a century could exceed a time_t.
    let nanoseconds = end.tv_nsec + Int(min(limit.nanoseconds, 1 << 62))
    end.tv_sec += nanoseconds / 1_000_000_000
    end.tv_nsec = nanoseconds % 1_000_000_000
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    while count == ticket.count {
      if unsafe pthread_cond_timedwait(condition, mutex, &end) == ETIMEDOUT {
        return count != ticket.count
      }
    }
    return true
  }

  /// Wakes all waiting threads.
  package func announce() {
    unsafe pthread_mutex_lock(mutex)
    count &+= 1
    unsafe pthread_cond_broadcast(condition)
    unsafe pthread_mutex_unlock(mutex)
  }
}
