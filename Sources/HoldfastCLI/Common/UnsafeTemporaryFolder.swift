internal import Glibc

/// The folder for temporary files that are large.
enum TemporaryFolder {
  /// The value of TMPDIR, or /var/tmp, which is on a disk more often than /tmp.
  static var path: String {
    // SAFETY: the text that getenv(3) points at is read at once, and no code here sets variables.
    let folder = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? ""
    return folder.isEmpty ? "/var/tmp" : folder
  }
}
