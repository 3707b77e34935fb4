internal import Glibc

/// Which file has a path. A file that was made anew differs, also where it got the number of the
/// last one.
struct SocketIdentity: Hashable {
  private var device: UInt64
  private var number: UInt64
  private var seconds: Int
  private var nanoseconds: Int

  /// nil where no file has the path.
  init?(path: String) {
    var status = stat()
    // SAFETY: the call reads the path up to its end, and writes to the structure.
    guard unsafe lstat(path, &status) == 0 else { return nil }
    device = UInt64(status.st_dev)
    number = UInt64(status.st_ino)
    seconds = status.st_ctim.tv_sec
    nanoseconds = status.st_ctim.tv_nsec
  }
}
