internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// A folder for the files of a benchmark, which is removed with all that is in it.
///
/// Its lock is held as long as the process lives. What a process that was killed has left has no
/// lock, and is removed by the next one that makes a folder in the same place. A file in the folder
/// marks it, so that a user's folder with such a name is left alone.
public enum BenchmarkFolder {
  private static let prefix = "holdfast-bench-"
  private static let permissions: UInt32 = 0o700
  /// The name of the empty file that marks a folder.
  static let marker = ".holdfast-benchmark"
  /// Folders in it that are not looked into: nothing of a benchmark is so deep.
  private static let depth = 8
  /// How many names are tried.
  private static let attempts = 100

  /// Makes a folder with mode 0700 in another one, and calls a closure with its path.
  ///
  /// - Parameter operation: what the error says that was attempted.
  /// - Throws: `HoldfastError` where the folder cannot be made; what the closure throws.
  public static func with<Result>(
    in parent: String, _ operation: String, _ body: (String) throws(HoldfastError) -> Result
  ) throws(HoldfastError) -> Result {
    let (outer, name, folder) = try during(
      operation, "a folder in \(parent) cannot be created",
      advice: .other("a folder that you may write to")
    ) { () throws(Errno) in
      // The folder may be a symbolic link.
      let outer = try Folder.open(path: parent + "/.")
      removeLeft(in: outer)
      let (name, folder) = try make(in: outer)
      return (outer, name, folder)
    }
    // The descriptor has the lock.
    defer { withExtendedLifetime(folder) { remove(name, folder, in: outer) } }
    return try body(parent + "/" + name)
  }

  private static func make(in outer: Folder) throws(Errno) -> (String, Folder) {
    var problem = Errno.fileExists
    for attempt in 0..<attempts {
      // A user, or a process of another PID namespace, may have a folder with this number.
      let number = attempt == 0 ? UInt32(getpid()) : UInt32.random(in: 0 ... .max)
      let name = "\(prefix)\(number)"
      do throws(Errno) {
        try outer.makeFolder(name, permissions: permissions)
        if let folder = try mark(name, in: outer) { return (name, folder) }
        try? outer.removeFolder(name)
      } catch {
        guard error == .fileExists || error == .noSuchFileOrDirectory else { throw error }
        problem = error
      }
    }
    throw problem
  }

  /// Takes the lock of a new folder, and marks it.
  ///
  /// - Returns: nil where another process has the lock, or has removed the folder.
  private static func mark(_ name: String, in outer: Folder) throws(Errno) -> Folder? {
    let folder = try outer.folder(name)
    guard try folder.tryLock(), try outer.status(name).identity == folder.status().identity
    else { return nil }
    do throws(Errno) {
      _ = try folder.makeFile(marker)
    } catch {
      try? outer.removeFolder(name)
      throw error
    }
    return folder
  }

  /// Removes the folders of this user whose processes are dead.
  private static func removeLeft(in outer: Folder) {
    guard let names = try? outer.names(atMost: 10_000).names else { return }
    for name in names where isOurs(name) {
      // A folder is marked with its lock held, so that the lock of a new one is not taken here.
      guard let folder = try? outer.folder(name), isMarked(folder),
        (try? folder.tryLock()) == true, isMarked(folder)
      else { continue }
      remove(name, folder, in: outer)
    }
  }

  private static func isOurs(_ name: String) -> Bool {
    let number = name.dropFirst(prefix.count)
    return name.hasPrefix(prefix) && !number.isEmpty
      && number.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
  }

  private static func isMarked(_ folder: Folder) -> Bool {
    guard let status = try? folder.status(), status.owner == geteuid(),
      status.permissions == permissions, let file = try? folder.status(marker)
    else { return false }
    return file.isRegular && file.owner == geteuid() && file.size == .zero
  }

  private static func remove(_ name: String, _ folder: Folder, in outer: Folder) {
    // A process that is just ending may still make a file.
    for _ in 0..<100 {
      empty(folder, depth, keeping: marker)
      do throws(Errno) {
        // The mark goes last, so that the next benchmark removes what is left.
        try? folder.unlink(marker)
        return try outer.removeFolder(name)
      } catch {
        _ = try? folder.makeFile(marker)
        guard error == .directoryNotEmpty || error == .resourceBusy else { return }
        usleep(20_000)
      }
    }
  }

  private static func empty(_ folder: Folder, _ depth: Int, keeping kept: String? = nil) {
    for name in (try? folder.names()) ?? [] where name != kept {
      guard (try? folder.status(name))?.isFolder == true else {
        try? folder.unlink(name)
        continue
      }
      if depth > 0, let inner = try? folder.folder(name) { empty(inner, depth - 1) }
      try? folder.removeFolder(name)
    }
  }
}
