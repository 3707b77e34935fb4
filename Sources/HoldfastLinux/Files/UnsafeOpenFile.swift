internal import CHoldfastLinux
internal import Glibc
package import HoldfastCore
package import SystemPackage

/// An open file, closed when its last reference goes.
package final class OpenFile: Sendable {
  /// For whoever passes the open file on to a child process.
  package let descriptor: Int32

  init(descriptor: Int32) {
    self.descriptor = descriptor
  }

  /// The same opening of a file once more, close-on-exec. The corresponding C function is `fcntl`, with
  /// F_DUPFD_CLOEXEC.
  package convenience init(duplicating descriptor: Int32) throws(Errno) {
    let result = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    if result < 0 { throw Errno(rawValue: errno) }
    self.init(descriptor: result)
  }

  deinit {
    _ = hf_close(descriptor)
  }

  /// The corresponding C function is `fstat`.
  package func status() throws(Errno) -> FileStatus {
    var file = hf_file()
    try check(unsafe hf_stat(descriptor, &file))
    return FileStatus(file)
  }

  /// The file system that it is on. The corresponding C function is `fstatfs`.
  package func fileSystem() throws(Errno) -> FileSystemStatus {
    var system = hf_file_system()
    try check(unsafe hf_stat_file_system(descriptor, &system))
    return FileSystemStatus(system)
  }

  /// The corresponding C function is `ftruncate`.
  package func setSize(_ size: ByteCount) throws(Errno) {
    // Beyond is no file's size, and negative to the kernel.
    guard size.rawValue <= UInt64(Int64.max) else { throw .fileTooLarge }
    try check(hf_truncate(descriptor, size.rawValue))
  }

  /// The corresponding C function is `fchown`.
  package func setOwner(_ owner: UInt32, group: UInt32) throws(Errno) {
    try check(hf_change_owner(descriptor, owner, group))
  }

  /// The corresponding C function is `fchmod`.
  package func setPermissions(_ permissions: UInt32) throws(Errno) {
    try check(hf_change_mode(descriptor, permissions))
  }

  /// Takes the file's lock, which belongs to this opening of it and to processes that inherit it. The
  /// corresponding C function is `flock`.
  ///
  /// - Parameter waiting: false to fail with `wouldBlock` where somebody else has it.
  package func lock(waiting: Bool) throws(Errno) {
    try check(hf_lock_file(descriptor, waiting ? 1 : 0))
  }

  /// Gives the lock back, for all who have this opening of the file. The corresponding C function is `flock`.
  package func unlock() {
    // It fails for descriptors that there are not, and this is none of them.
    _ = hf_unlock_file(descriptor)
  }

  /// Proves that nobody else has the file open or mapped, and keeps others from opening it. The
  /// corresponding C function is `fcntl`, with F_SETLEASE and F_WRLCK.
  ///
  /// - Throws: `wouldBlock` where somebody has it open, `permissionDenied` where the caller neither owns
  ///   the file nor has CAP_LEASE.
  package func proveAlone() throws(Errno) {
    try check(hf_take_lease(descriptor))
  }

  /// Whether nobody has tried to open the file since ``proveAlone()``.
  package var isStillAlone: Bool { hf_has_lease(descriptor) == 1 }

  /// Lets others open the file again.
  package func endProof() {
    // It fails where there is no lease, which is what was wanted.
    _ = hf_end_lease(descriptor)
  }
}
