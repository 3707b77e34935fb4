internal import Glibc

/// A reader-writer lock over `pthread_rwlock_t`, which prefers writers. Not recursive.
@safe package final class SharedLock: @unchecked Sendable {
  // SAFETY: allocated once, initialised before use, destroyed only when no reference remains.
  private let lock: UnsafeMutablePointer<pthread_rwlock_t>

  /// A lock that no thread holds.
  package init() {
    unsafe lock = .allocate(capacity: 1)
    unsafe lock.initialize(to: pthread_rwlock_t())
    // Faults share the lock all the time while a guest runs; a thread that maps or wires must not
    // wait for a moment without any.
    var attributes = pthread_rwlockattr_t()
    unsafe pthread_rwlockattr_init(&attributes)
    unsafe pthread_rwlockattr_setkind_np(
      &attributes, Int32(PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP))
    // glibc refuses other attributes alone, and allocates nothing.
    let status = unsafe pthread_rwlock_init(lock, &attributes)
    precondition(status == 0, "pthread_rwlock_init failed")
    unsafe pthread_rwlockattr_destroy(&attributes)
  }

  deinit {
    unsafe pthread_rwlock_destroy(lock)
    unsafe lock.deallocate()
  }

  /// Waits until no thread has the lock exclusively or waits to, and shares it
  /// (`pthread_rwlock_rdlock`).
  package func lockShared() {
    let status = unsafe pthread_rwlock_rdlock(lock)
    precondition(status == 0, "pthread_rwlock_rdlock failed")
  }

  /// Waits until no thread has the lock, and takes it exclusively (`pthread_rwlock_wrlock`).
  package func lockExclusive() {
    let status = unsafe pthread_rwlock_wrlock(lock)
    precondition(status == 0, "pthread_rwlock_wrlock failed")
  }

  /// Releases the lock, shared or exclusive (`pthread_rwlock_unlock`).
  package func unlock() {
    let status = unsafe pthread_rwlock_unlock(lock)
    precondition(status == 0, "a shared lock is unlocked by a thread that does not hold it")
  }

  /// Calls `body` with the lock shared.
  @inline(__always)
  package func withSharedLock<Result: ~Copyable, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    lockShared()
    defer { unlock() }
    return try body()
  }

  /// Calls `body` with the lock held exclusively.
  @inline(__always)
  package func withExclusiveLock<Result: ~Copyable, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    lockExclusive()
    defer { unlock() }
    return try body()
  }
}
