internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// A folder for the files of a benchmark, which is removed with all that is in it.
///
/// Its lock is held as long as the process lives. What a process that was killed has left has no
/// lock, and is removed by the next one that makes a folder in the same place.
public enum BenchmarkFolder {
  private static let prefix = "holdfast-bench-"
  /// Folders in it that are not looked into: nothing of a benchmark is so deep.
  private static let depth = 8

  /// Makes a folder with mode 0700 in another one, and calls a closure with its path.
  ///
  /// - Parameter operation: what the error says that was attempted.
  /// - Throws: `HoldfastError` where the folder cannot be made; what the closure throws.
  public static func with<Result>(
    in parent: String, _ operation: String, _ body: (String) throws -> Result
  ) throws -> Result {
    let name = "\(prefix)\(getpid())"
    let path = parent + "/" + name
    let (outer, folder) = try during(
      operation, "the folder \(path) cannot be created",
      advice: .other("a folder that you may write to")
    ) { () throws(Errno) in
      // The folder may be a symbolic link.
      let outer = try Folder.open(path: parent + "/.")
      removeLeft(in: outer)
      return (outer, try make(name, in: outer))
    }
    // The descriptor has the lock.
    defer { withExtendedLifetime(folder) { remove(name, folder, in: outer) } }
    return try body(path)
  }

  private static func make(_ name: String, in outer: Folder) throws(Errno) -> Folder {
    while true {
      try outer.makeFolder(name, permissions: 0o700)
      do throws(Errno) {
        let folder = try outer.folder(name)
        // Another process may have found it without a lock, and removes it then.
        if try folder.tryLock(), try outer.status(name).identity == folder.status().identity {
          return folder
        }
      } catch {
        guard error == .noSuchFileOrDirectory else { throw error }
      }
      usleep(1000)
    }
  }

  /// Removes the folders of this user whose processes are dead.
  private static func removeLeft(in outer: Folder) {
    guard let names = try? outer.names(atMost: 10_000).names else { return }
    for name in names where name.hasPrefix(prefix) {
      guard let folder = try? outer.folder(name), let status = try? folder.status(),
        status.owner == geteuid(), (try? folder.tryLock()) == true
      else { continue }
      remove(name, folder, in: outer)
    }
  }

  private static func remove(_ name: String, _ folder: Folder, in outer: Folder) {
    // A process that is just ending may still make a file.
    for _ in 0..<100 {
      empty(folder, depth)
      do throws(Errno) {
        return try outer.removeFolder(name)
      } catch {
        guard error == .directoryNotEmpty || error == .resourceBusy else { return }
        usleep(20_000)
      }
    }
  }

  private static func empty(_ folder: Folder, _ depth: Int) {
    for name in (try? folder.names()) ?? [] {
      guard (try? folder.status(name))?.isFolder == true else {
        try? folder.unlink(name)
        continue
      }
      if depth > 0, let inner = try? folder.folder(name) { empty(inner, depth - 1) }
      try? folder.removeFolder(name)
    }
  }
}
