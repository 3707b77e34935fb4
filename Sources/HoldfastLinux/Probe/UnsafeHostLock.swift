internal import Glibc

/// A lock between the processes, and threads, that change huge page pools on a host: flock(2) of
/// /proc/sys/vm/compact_memory. Unlike nr_hugepages only root can open that file, so no other user
/// can hold the lock. If it cannot be taken, as in a made-up tree, the work proceeds without.
struct HostLock {
  private let descriptor: Int32

  /// Takes the lock, or does without after ten seconds: giving pages back must not block for ever.
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

  /// Releases the lock.
  func unlock() {
    if descriptor >= 0 { _ = close(descriptor) }
  }
}
