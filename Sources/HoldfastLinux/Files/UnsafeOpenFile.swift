internal import CHoldfastLinux
internal import Glibc
package import HoldfastCore
package import SystemPackage

/// An open file, closed with its last reference.
package final class OpenFile: Sendable {
  /// The descriptor, for passing it to a child process.
  package let descriptor: Int32

  init(descriptor: Int32) {
    self.descriptor = descriptor
  }

  /// Duplicates a descriptor, close-on-exec: both refer to the same open file. The corresponding C
  /// function is `fcntl`, with F_DUPFD_CLOEXEC.
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

  /// The status of the file's file system. The corresponding C function is `fstatfs`.
  package func fileSystem() throws(Errno) -> FileSystemStatus {
    var system = hf_file_system()
    try check(unsafe hf_stat_file_system(descriptor, &system))
    return FileSystemStatus(system)
  }

  /// The corresponding C function is `ftruncate`.
  package func setSize(_ size: ByteCount) throws(Errno) {
    // The kernel would take a larger number for a negative one.
    guard size.rawValue <= UInt64(Int64.max) else { throw .fileTooLarge }
    try check(hf_truncate(descriptor, size.rawValue))
  }

  /// Gives the file a size, and on a disk or tmpfs the space for all of it, so that no later write
  /// to a mapping lacks it. The corresponding C function is `fallocate`.
  ///
  /// - Throws: `notSupported` where the file system cannot do that.
  package func allocate(_ size: ByteCount) throws(Errno) {
    guard size.rawValue <= UInt64(Int64.max) else { throw .fileTooLarge }
    try check(hf_allocate(descriptor, size.rawValue))
  }

  /// The corresponding C function is `fchown`.
  package func setOwner(_ owner: UInt32, group: UInt32) throws(Errno) {
    try check(hf_change_owner(descriptor, owner, group))
  }

  /// The corresponding C function is `fchmod`.
  package func setPermissions(_ permissions: UInt32) throws(Errno) {
    try check(hf_change_mode(descriptor, permissions))
  }

  /// Sets the time of the last modification, in seconds. The corresponding C function is
  /// `futimens`.
  package func setModified(_ seconds: Int64) throws(Errno) {
    try check(hf_set_modified(descriptor, seconds))
  }

  /// Takes the file's lock, which belongs to the open file, and so also to child processes that
  /// inherit it. The corresponding C function is `flock`.
  ///
  /// - Parameter waiting: false to throw `wouldBlock` if another open file has the lock.
  package func lock(waiting: Bool) throws(Errno) {
    try check(hf_lock_file(descriptor, waiting ? 1 : 0))
  }

  /// Releases the lock, for all processes that share this open file. The corresponding C function
  /// is `flock`.
  package func unlock() {
    // It fails only for a closed descriptor.
    _ = hf_unlock_file(descriptor)
  }

  /// Proves that no other open file or mapping of the file exists, and delays other attempts to
  /// open it until `endProof`. The corresponding C function is `fcntl`, with F_SETLEASE and
  /// F_WRLCK.
  ///
  /// - Throws: `wouldBlock` if one exists, `permissionDenied` if the caller neither owns the file
  ///   nor has CAP_LEASE.
  package func proveAlone() throws(Errno) {
    try check(hf_take_lease(descriptor))
  }

  /// As `proveAlone()`, tried until the time is over. Other commands open a file briefly to inspect
  /// it, and the descriptors of a process are closed shortly after its end.
  package func proveAlone(within timeout: Duration) throws(Errno) {
    let end = Instant.now + timeout.bounded
    while true {
      do throws(Errno) {
        return try proveAlone()
      } catch {
        guard error == .wouldBlock, Instant.now < end else { throw error }
        usleep(200)
      }
    }
  }

  /// Whether no process has tried to open the file since ``proveAlone()``.
  package var isStillAlone: Bool { hf_has_lease(descriptor) == 1 }

  /// Ends the proof, so that other processes can open the file again.
  package func endProof() {
    // It fails only if there is no lease.
    _ = hf_end_lease(descriptor)
  }
}
