internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import PlainHTTP
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
    if command.contains("--version") {
      print("holdfast-kubernetes", Arguments.version)
      return
    }
    var options = PluginOptions()
    do {
      if command.first == "--check-accounting" {
        guard command.count == 2, let text = command.last else {
          throw Arguments.Problem(reason: "--check-accounting has one value, and no other options")
        }
        exit(await checkAccounting(try Arguments.address("--check-accounting", text)))
      }
      try Arguments.read(Array(command), into: &options)
    } catch let problem as Arguments.Problem {
      PluginLog.write("error: \(problem.reason)")
      exit(2)
    } catch {
      PluginLog.write("error: \(error)")
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

  /// Asks a plugin whether the accounting agrees, for a readiness probe: the kubelet makes the line
  /// that it prints an event of the pod.
  ///
  /// - Returns: the status of this process.
  private static func checkAccounting(_ address: HTTPAddress) async -> Int32 {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    do throws(HTTPTextClient.Failure) {
      let answer = try await HTTPTextClient(address, group: group, mostBytes: 65_536)
        .get("/accounting", timeout: .seconds(3))
      let line = answer.text.prefix { !$0.isNewline }
      print(line.isEmpty ? "the plugin answers with status \(answer.status)" : "\(line)")
      return answer.status == 200 ? 0 : 1
    } catch {
      print("the plugin cannot be asked: \(error)")
      return 1
    }
  }
}
