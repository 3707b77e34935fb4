internal import Glibc
package import HoldfastCore
package import SystemPackage

/// A cgroup with a limit on memory for one process and its children (cgroups(7)), below one that
/// this process is in. A process in it that needs more is killed by the kernel, and no other one.
///
/// Its folder goes with `remove`, when no process is left in it. One that was killed before that
/// leaves an empty folder, which the next one removes.
package final class MemoryCgroup: Sendable {
  /// The path of its folder.
  package let path: String
  private let parent: Folder
  private let name: String
  private let isVersion2: Bool

  /// The number and start of the process that made it follow, by which a leftover is known.
  private static let prefix = "holdfast-clone-"
  private static let files = HostFiles(root: "/")

  /// Creates a cgroup where this process may: in its own cgroup or one above that.
  ///
  /// - Parameters:
  ///   - name: a part of the folder's name.
  ///   - limit: the bytes that its processes may have together.
  /// - Throws: `HoldfastError` with the code `unsupported` where none can be made: the host has no
  ///   memory controller there, or this user may not.
  package init(_ name: String, limit: ByteCount) throws(HoldfastError) {
    var refusal: (path: String, error: Errno)?
    for hierarchy in CgroupFiles(files: Self.files).memory {
      for path in hierarchy.directories where Self.hasController(path, hierarchy) {
        do throws(Errno) {
          let parent = try Folder.open(path: path)
          for old in (try? parent.names()) ?? [] where Self.isLeftover(old) {
            try? parent.removeFolder(old)
          }
          let folder = Self.prefix + (try HostProcess(getpid()).text) + "-" + name
          try parent.makeFolder(folder, permissions: 0o755)
          do throws(Errno) {
            let file = hierarchy.isVersion2 ? "memory.max" : "memory.limit_in_bytes"
            try Self.files.write("\(limit.rawValue)", to: "\(path)/\(folder)/\(file)")
            // Where one process of a monitor is killed, the others are of no use.
            if hierarchy.isVersion2 {
              try? Self.files.write("1", to: "\(path)/\(folder)/memory.oom.group")
            }
          } catch {
            try? parent.removeFolder(folder)
            throw error
          }
          self.path = "\(path)/\(folder)"
          self.parent = parent
          self.name = folder
          isVersion2 = hierarchy.isVersion2
          return
        } catch {
          if refusal == nil { refusal = (path, error) }
        }
      }
    }
    throw HoldfastError(
      .unsupported, operation: "create a memory cgroup",
      reason: refusal.map { "\($0.path) refuses one" }
        ?? "the memory controller is enabled in no cgroup above this process",
      errno: refusal?.error.rawValue,
      advice: .other("as root, or in a systemd unit with Delegate=memory"))
  }

  /// Whether a folder is a cgroup whose maker has ended. Without processes it can be removed.
  private static func isLeftover(_ name: String) -> Bool {
    guard name.hasPrefix(prefix),
      let maker = name.dropFirst(prefix.count).split(separator: "-").first,
      let process = HostProcess(text: maker)
    else { return false }
    return !process.exists
  }

  /// Whether cgroups in a folder get the memory controller.
  private static func hasController(
    _ path: String, _ hierarchy: CgroupFiles.Hierarchy
  ) -> Bool {
    guard hierarchy.isVersion2 else { return true }
    let controllers = files.text("\(path)/cgroup.subtree_control") ?? ""
    return controllers.split(whereSeparator: \.isWhitespace).contains("memory")
  }

  /// Moves a process into it, with what it allocates from then on.
  package func add(_ process: HostProcess) throws(Errno) {
    try Self.files.write("\(process.number)", to: "\(path)/cgroup.procs")
  }

  /// How often the kernel has killed a process in it for the limit.
  package var kills: UInt64 {
    let file = isVersion2 ? "memory.events" : "memory.oom_control"
    return Self.files.text("\(path)/\(file)")
      .flatMap { HostParsers.statistic("oom_kill", in: $0) } ?? 0
  }

  /// Removes it. Its processes have ended; the kernel may take a moment to notice that.
  package func remove() {
    for _ in 0..<100 {
      do throws(Errno) {
        return try parent.removeFolder(name)
      } catch {
        if error != .resourceBusy { return }
      }
      usleep(10_000)
    }
  }
}
