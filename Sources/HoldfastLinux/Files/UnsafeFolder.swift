internal import CHoldfastLinux
internal import Glibc
package import SystemPackage

/// An open folder, closed when its last reference goes. Names are single components below it, of which
/// none is followed where it is a symbolic link.
package final class Folder: Sendable {
  let descriptor: Int32

  private init(descriptor: Int32) {
    self.descriptor = descriptor
  }

  deinit {
    _ = hf_close(descriptor)
  }

  /// Opens a folder by its path, whose last component is not followed. The corresponding C function is
  /// `open`, with O_DIRECTORY.
  package static func open(path: String) throws(Errno) -> Folder {
    try open(path, in: hf_current_folder())
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

  /// Opens a file for reading and writing, or for reading alone. The corresponding C function is
  /// `openat`; it never waits.
  package func file(_ name: String, writable: Bool = true) throws(Errno) -> OpenFile {
    try file(name, how: writable ? Int32(HF_OPEN_WRITE) : 0)
  }

  /// Makes a file that must not exist, for its owner alone. The corresponding C function is `openat`,
  /// with O_EXCL.
  package func makeFile(_ name: String) throws(Errno) -> OpenFile {
    try file(name, how: Int32(HF_OPEN_WRITE | HF_OPEN_CREATE))
  }

  /// Makes a file in the folder that has no name, for its owner alone, or nil where the file system has none
  /// such. The corresponding C function is `openat`, with O_TMPFILE.
  package func makeNamelessFile() throws(Errno) -> OpenFile? {
    let result = hf_open_nameless(descriptor)
    for lacking in [Errno.notSupported, .isDirectory, .noFunction, .noSuchFileOrDirectory]
    where result == -lacking.rawValue {
      return nil
    }
    try check(result)
    return OpenFile(descriptor: result)
  }

  /// Gives a file without a name one that nothing has. The corresponding C function is `linkat`.
  package func link(_ file: OpenFile, _ name: String) throws(Errno) {
    try check(unsafe hf_link_nameless(file.descriptor, descriptor, try checked(name)))
  }

  /// Gives a file of the folder another name, in place of what has it. The corresponding C function is
  /// `renameat`.
  package func replace(_ name: String, by newer: String) throws(Errno) {
    let (from, to) = (try checked(newer), try checked(name))
    try check(unsafe hf_replace_at(descriptor, from, to))
  }

  /// Sees to it that names that were given are on the disk. The corresponding C function is `fsync`.
  package func synchronize() throws(Errno) {
    try check(hf_synchronize(descriptor))
  }

  private func file(_ name: String, how: Int32) throws(Errno) -> OpenFile {
    let result = unsafe hf_open_at(descriptor, try checked(name), how)
    try check(result)
    return OpenFile(descriptor: result)
  }

  /// What a name stands for. The corresponding C function is `fstatat`.
  package func status(_ name: String) throws(Errno) -> FileStatus {
    var file = hf_file()
    try check(unsafe hf_stat_at(descriptor, try checked(name), &file))
    return FileStatus(file)
  }

  /// The folder itself. The corresponding C function is `fstat`.
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

  /// Gives a file another name, perhaps in another folder, where nothing has it. The corresponding C
  /// function is `renameat2`, with RENAME_NOREPLACE.
  package func rename(_ name: String, to folder: Folder, _ newName: String) throws(Errno) {
    try check(
      unsafe hf_rename_at(
        descriptor, try checked(name), folder.descriptor, try checked(newName)))
  }

  /// Takes a file's name away. The corresponding C function is `unlinkat`.
  package func unlink(_ name: String) throws(Errno) {
    try check(unsafe hf_unlink_at(descriptor, try checked(name)))
  }

  /// The corresponding C function is `mkdirat`; the permissions are less the umask.
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

  /// Takes the folder's lock, which goes with the folder's last reference. The corresponding C function
  /// is `flock`.
  ///
  /// - Returns: false where somebody else has it.
  package func tryLock() throws(Errno) -> Bool {
    let status = hf_lock_file(descriptor, 0)
    if status == -Errno.wouldBlock.rawValue { return false }
    try check(status)
    return true
  }

  /// Does something with the folder's lock. The corresponding C function is `flock`.
  ///
  /// - Throws: `wouldBlock` where another process holds it for longer than the timeout.
  package func withLock<Result>(
    timeout: Duration, _ body: () throws(Errno) -> Result
  ) throws(Errno) -> Result {
    let end = ContinuousClock.now + timeout
    while try !tryLock() {
      guard ContinuousClock.now < end else { throw .wouldBlock }
      usleep(200)
    }
    defer { _ = hf_unlock_file(descriptor) }
    return try body()
  }

  /// All names in the folder, sorted. The corresponding C functions are `fdopendir` and `readdir`.
  ///
  /// - Complexity: O(*n* log *n*) for *n* names.
  package func names() throws(Errno) -> [String] {
    // A descriptor of its own: the place in the folder is the open file's, and threads would share it.
    let copy = unsafe hf_open_at(descriptor, ".", Int32(HF_OPEN_FOLDER))
    try check(copy)
    // SAFETY: the stream is closed once, after the last use, and closes the copy; an entry is copied
    // before the next readdir(3), and `d_name` ends in a zero byte.
    guard let stream = unsafe fdopendir(copy) else {
      let problem = Errno(rawValue: errno)
      _ = hf_close(copy)
      throw problem
    }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// A name that is one component and nothing else.
  func checked(_ name: String) throws(Errno) -> String {
    let isComponent =
      !name.isEmpty && name != "." && name != ".."
      && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == 0 }
    guard isComponent else { throw .invalidArgument }
    return name
  }
}
