internal import Glibc

/// Turns at the host's pools of huge pages. Tests that count a pool, use up what is free in it or
/// need that some is free take turns, those of other suites and of other runs on this host too.
package enum HugePageLock {
  /// Calls the body when nobody else has the turn. Does not nest.
  package static func withLock<Result>(_ body: () throws -> Result) rethrows -> Result {
    // A lock of a descriptor of its own keeps threads apart as well as processes. Where the file
    // cannot be had, as another user's, the test goes on without. The name is known to all users, so
    // a link that one of them left there is not followed.
    // SAFETY: the path's bytes live through the call.
    let file = unsafe open(
      "/tmp/holdfast-huge-pages.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o666)
    defer { if file >= 0 { close(file) } }
    while file >= 0, flock(file, LOCK_EX) < 0, errno == EINTR {}
    return try body()
  }
}
