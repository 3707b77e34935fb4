internal import Glibc

// The core's files with pointers are this one, UnsafeSharedLock.swift and UnsafeEvent.swift: POSIX
// threads require their locks at a fixed address. `Synchronization.Mutex` would do, but
// ThreadSanitizer reports false races for it.

/// A mutual exclusion lock over `pthread_mutex_t`. Not recursive.
@safe package final class Lock: @unchecked Sendable {
  // SAFETY: allocated once, initialised before use, destroyed only when no reference remains.
  fileprivate let mutex: UnsafeMutablePointer<pthread_mutex_t>

  /// A lock that no thread holds.
  package init() {
    unsafe mutex = .allocate(capacity: 1)
    unsafe mutex.initialize(to: pthread_mutex_t())
    // glibc refuses attributes alone, and allocates nothing.
    let status = unsafe pthread_mutex_init(mutex, nil)
    precondition(status == 0, "pthread_mutex_init failed")
  }

  deinit {
    unsafe pthread_mutex_destroy(mutex)
    unsafe mutex.deallocate()
  }

  /// Waits until no thread holds the lock, and takes it (`pthread_mutex_lock`).
  package func lock() {
    let status = unsafe pthread_mutex_lock(mutex)
    precondition(status == 0, "pthread_mutex_lock failed")
  }

  /// Releases the lock, in the thread that took it (`pthread_mutex_unlock`).
  package func unlock() {
    let status = unsafe pthread_mutex_unlock(mutex)
    precondition(status == 0, "a mutex is unlocked by a thread that does not hold it")
  }

  /// Calls `body` with the lock held.
  @inline(__always)
  package func withLock<Result: ~Copyable, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    lock()
    defer { unlock() }
    return try body()
  }
}

extension Lock {
  /// A condition that threads wait for which hold the lock (`pthread_cond_t`).
  @safe package final class Condition: @unchecked Sendable {
    // SAFETY: as in Lock.
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    /// A condition that no thread waits for.
    package init() {
      unsafe condition = .allocate(capacity: 1)
      unsafe condition.initialize(to: pthread_cond_t())
      // As for the mutex.
      let status = unsafe pthread_cond_init(condition, nil)
      precondition(status == 0, "pthread_cond_init failed")
    }

    deinit {
      unsafe pthread_cond_destroy(condition)
      unsafe condition.deallocate()
    }

    /// Releases the lock, waits for a signal and takes the lock again (`pthread_cond_wait`). May
    /// return without a signal, so the caller checks what it waits for.
    package func wait(_ lock: Lock) {
      unsafe pthread_cond_wait(condition, lock.mutex)
    }

    /// Wakes one waiting thread (`pthread_cond_signal`).
    package func signal() {
      unsafe pthread_cond_signal(condition)
    }

    /// Wakes all waiting threads (`pthread_cond_broadcast`).
    package func broadcast() {
      unsafe pthread_cond_broadcast(condition)
    }
  }
}
