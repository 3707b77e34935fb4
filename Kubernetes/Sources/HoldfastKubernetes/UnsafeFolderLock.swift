internal import Glibc
internal import ReadyMemoryPlugin

/// The lock of the folder of sockets, so that of two plugins, as during an update, one serves and
/// the other waits. The kernel unlocks it at the process's end.
struct FolderLock {
  /// Waits for the lock; nil where the folder does not open.
  init?(_ path: String) {
    // SAFETY: the call reads the path up to its end.
    let folder = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { return nil }
    if flock(folder, LOCK_EX | LOCK_NB) != 0 {
      PluginLog.write("another plugin serves in \(path); this one waits for its end")
      while flock(folder, LOCK_EX) != 0, errno == EINTR {}
    }
  }
}
