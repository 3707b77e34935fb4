internal import Glibc
internal import ReadyMemoryPlugin

/// `holdfast-kubernetes`.
@main
enum Main {
  static func main() async {
    let command = CommandLine.arguments.dropFirst()
    if command.contains("--help") {
      print(Arguments.help)
      return
    }
    var options = PluginOptions()
    do {
      try Arguments.read(Array(command), into: &options)
    } catch {
      PluginLog.write("error: \(error.reason)")
      exit(2)
    }
    // A container's first process ignores SIGTERM otherwise. At the end nothing is left to do.
    signal(SIGTERM) { _ in _exit(0) }
    signal(SIGPIPE, SIG_IGN)
    // The sockets are root's.
    umask(0o177)
    guard let lock = FolderLock(options.folder) else {
      PluginLog.write("error: \(options.folder) is no folder")
      exit(1)
    }
    do {
      var plugin = Plugin(options)
      try await plugin.run()
    } catch {
      PluginLog.write("error: \(error)")
    }
    _ = lock
    exit(1)
  }
}
