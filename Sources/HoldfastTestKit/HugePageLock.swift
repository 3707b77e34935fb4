internal import Glibc

/// A lock on the host's pools of huge pages. Tests hold it that count a pool's pages, allocate all
/// of them or need free ones, also those of other suites and of other test runs on this host.
package enum HugePageLock {
  /// Calls `body` with the lock held. Does not nest.
  package static func withLock<Result>(_ body: () throws -> Result) rethrows -> Result {
    // A lock on its own descriptor excludes threads as well as processes. Where the file cannot be
    // opened, for example because another user owns it, the test runs without the lock. All users
    // know the name, so a symbolic link that one of them made is not followed.
    // SAFETY: the path's bytes live through the call.
    let file = unsafe open(
      "/tmp/holdfast-huge-pages.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o666)
    defer { if file >= 0 { close(file) } }
    // Whatever the umask was of the test run that creates it.
    if file >= 0 { _ = fchmod(file, 0o666) }
    while file >= 0, flock(file, LOCK_EX) < 0, errno == EINTR {}
    return try body()
  }
}
