internal import CHoldfastLinux
internal import Glibc
internal import HoldfastCore
package import SystemPackage

/// An open folder, closed with its last reference. Names are single components in it; symbolic
/// links are not followed.
package final class Folder: Sendable {
  /// The descriptor, for passing it to a child process.
  package let descriptor: Int32

  private init(descriptor: Int32) {
    self.descriptor = descriptor
  }

  deinit {
    _ = hf_close(descriptor)
  }

  /// Opens a folder by its path, whose last component may not be a symbolic link. The corresponding
  /// C function is `open`, with O_DIRECTORY.
  package static func open(path: String) throws(Errno) -> Folder {
    try open(path, in: hf_current_folder())
  }

  /// The status of the folder with a path, which need not be readable, or of the symbolic link that
  /// the path is. The corresponding C function is `fstatat`.
  package static func status(path: String, followsLink: Bool) throws(Errno) -> FileStatus {
    if path.utf8.contains(0) { throw .invalidArgument }
    var file = hf_file()
    let path = followsLink ? path + "/." : path
    try check(unsafe hf_stat_at(hf_current_folder(), path, &file))
    return FileStatus(file)
  }

  /// Opens a folder in this one. The corresponding C function is `openat`.
  package func folder(_ name: String) throws(Errno) -> Folder {
    try Self.open(try checked(name), in: descriptor)
  }

  private static func open(_ name: String, in folder: Int32) throws(Errno) -> Folder {
    if name.utf8.contains(0) { throw .invalidArgument }
    let result = unsafe hf_open_at(folder, name, Int32(HF_OPEN_FOLDER))
    try check(result)
    return Folder(descriptor: result)
  }

  /// Opens a file for reading and writing, or for reading only, without waiting. The corresponding
  /// C function is `openat`.
  package func file(_ name: String, writable: Bool = true) throws(Errno) -> OpenFile {
    try file(name, how: writable ? Int32(HF_OPEN_WRITE) : 0)
  }

  /// Creates a file with mode 0600, whatever the umask. The corresponding C function is `openat`,
  /// with O_EXCL.
  ///
  /// - Throws: `fileExists` if the name is in use.
  package func makeFile(_ name: String) throws(Errno) -> OpenFile {
    try file(name, how: Int32(HF_OPEN_WRITE | HF_OPEN_CREATE))
  }

  /// Creates a file without a name, with mode 0600. The corresponding C function is `openat`, with
  /// O_TMPFILE.
  ///
  /// - Returns: nil if the file system has no such files.
  package func makeNamelessFile() throws(Errno) -> OpenFile? {
    let result = hf_open_nameless(descriptor)
    for lacking in [Errno.notSupported, .isDirectory, .noFunction, .noSuchFileOrDirectory]
    where result == -lacking.rawValue {
      return nil
    }
    try check(result)
    return OpenFile(descriptor: result)
  }

  /// Gives a file without a name its first one. The corresponding C function is `linkat`.
  ///
  /// - Throws: `fileExists` if the name is in use.
  package func link(_ file: OpenFile, _ name: String) throws(Errno) {
    try check(unsafe hf_link_nameless(file.descriptor, descriptor, try checked(name)))
  }

  /// Gives the file called `newer` the name `name`, in place of the file that has it. The
  /// corresponding C function is `renameat`.
  package func replace(_ name: String, by newer: String) throws(Errno) {
    let (from, to) = (try checked(newer), try checked(name))
    try check(unsafe hf_replace_at(descriptor, from, to))
  }

  /// Writes the folder's names to the disk. The corresponding C function is `fsync`.
  package func synchronize() throws(Errno) {
    try check(hf_synchronize(descriptor))
  }

  private func file(_ name: String, how: Int32) throws(Errno) -> OpenFile {
    let result = unsafe hf_open_at(descriptor, try checked(name), how)
    try check(result)
    return OpenFile(descriptor: result)
  }

  /// The status of the file with a name. The corresponding C function is `fstatat`.
  package func status(_ name: String) throws(Errno) -> FileStatus {
    var file = hf_file()
    try check(unsafe hf_stat_at(descriptor, try checked(name), &file))
    return FileStatus(file)
  }

  /// The status of the folder itself. The corresponding C function is `fstat`.
  package func status() throws(Errno) -> FileStatus {
    var file = hf_file()
    try check(unsafe hf_stat(descriptor, &file))
    return FileStatus(file)
  }

  /// The status of the folder's file system. The corresponding C function is `fstatfs`.
  package func fileSystem() throws(Errno) -> FileSystemStatus {
    var system = hf_file_system()
    try check(unsafe hf_stat_file_system(descriptor, &system))
    return FileSystemStatus(system)
  }

  /// Gives a file another name, perhaps in another folder. The corresponding C function is
  /// `renameat2`, with RENAME_NOREPLACE.
  ///
  /// - Throws: `fileExists` if the new name is in use.
  package func rename(_ name: String, to folder: Folder, _ newName: String) throws(Errno) {
    try check(
      unsafe hf_rename_at(
        descriptor, try checked(name), folder.descriptor, try checked(newName)))
  }

  /// Removes a name. The corresponding C function is `unlinkat`.
  package func unlink(_ name: String) throws(Errno) {
    try check(unsafe hf_unlink_at(descriptor, try checked(name)))
  }

  /// Removes an empty folder. The corresponding C function is `unlinkat`, with AT_REMOVEDIR.
  package func removeFolder(_ name: String) throws(Errno) {
    try check(unsafe hf_remove_folder_at(descriptor, try checked(name)))
  }

  /// Creates a folder with these permissions, whatever the umask. The corresponding C functions are
  /// `mkdirat` and `fchmodat`.
  package func makeFolder(_ name: String, permissions: UInt32) throws(Errno) {
    try check(unsafe hf_make_folder_at(descriptor, try checked(name), permissions))
  }

  /// The corresponding C function is `fchown`.
  package func setOwner(_ owner: UInt32, group: UInt32) throws(Errno) {
    try check(hf_change_owner(descriptor, owner, group))
  }

  /// The corresponding C function is `fchmod`.
  package func setPermissions(_ permissions: UInt32) throws(Errno) {
    try check(hf_change_mode(descriptor, permissions))
  }

  /// Takes the folder's lock, which ends with the folder's last reference. The corresponding C
  /// function is `flock`.
  ///
  /// - Returns: false if another open file has it.
  package func tryLock() throws(Errno) -> Bool {
    let status = hf_lock_file(descriptor, 0)
    if status == -Errno.wouldBlock.rawValue { return false }
    try check(status)
    return true
  }

  /// Calls `body` with the folder's lock held. The corresponding C function is `flock`.
  ///
  /// - Throws: `wouldBlock` if another open file holds the lock for longer than the timeout; what
  ///   `body` throws.
  package func withLock<Result>(
    timeout: Duration, _ body: () throws(Errno) -> Result
  ) throws(Errno) -> Result {
    let end = Instant.now + timeout
    while try !tryLock() {
      guard Instant.now < end else { throw .wouldBlock }
      usleep(200)
    }
    defer { _ = hf_unlock_file(descriptor) }
    return try body()
  }

  /// The names in the folder, sorted.
  ///
  /// - Complexity: O(*n* log *n*) for *n* names.
  package func names() throws(Errno) -> [String] {
    try names(atMost: .max).names
  }

  /// The names in the folder up to a number of them, sorted, and whether these are all. The rest is
  /// not read. A folder that other users can fill must not keep its readers busy without end.
  ///
  /// - Complexity: O(*n* log *n*) for *n* names, at most `limit`.
  package func names(atMost limit: Int) throws(Errno) -> (names: [String], isComplete: Bool) {
    // One more tells whether there are more.
    let names = try FolderReader(self).next(limit == .max ? limit : limit + 1)
    return (Array(names.prefix(limit)).sorted(), names.count <= limit)
  }

  /// Opens the folder anew, with a read position of its own.
  func openAgain() throws(Errno) -> Int32 {
    let copy = unsafe hf_open_at(descriptor, ".", Int32(HF_OPEN_FOLDER))
    try check(copy)
    return copy
  }

  /// Returns the name if it is a single component.
  ///
  /// - Throws: `invalidArgument` if it is not.
  func checked(_ name: String) throws(Errno) -> String {
    let isComponent =
      !name.isEmpty && name != "." && name != ".."
      && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == 0 }
    guard isComponent else { throw .invalidArgument }
    return name
  }
}
