import Foundation
import Testing

/// The built program, run as a user runs it. It is killed with the object, if `wait` was not called:
/// the testing library waits for children of its own, and would wait forever behind one that has
/// ended and that a failed test left.
final class HoldfastProgram: @unchecked Sendable {
  /// Where standard output goes.
  enum Sink {
    case caught
    case closed
    case file(String, Int32)
  }

  struct Outcome {
    /// The exit status, or nil where a signal ended the program.
    var status: Int32?
    var signal: Int32?
    var output = ""
    var error = ""
  }

  /// The program beside the test bundle.
  static let path: String = {
    let tests = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    return URL(filePath: tests ?? "").deletingLastPathComponent().appending(path: "holdfast").path
  }()

  /// Whether another user can run the program where it is built.
  static let othersCanRun: Bool = {
    let command = ["runuser", "-u", "nobody", "--", path]
    return (try? HoldfastProgram(["--version"], command: command).wait().status) == 0
  }()

  let process: pid_t
  private let folder: URL
  /// Used by one thread at a time.
  private var hasEnded = false

  /// Starts the program, or `command` with it as the last word. Signals have their default effect,
  /// whatever the tests were started with.
  init(_ arguments: [String], output: Sink = .caught, command: [String]? = nil) throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    let flags = O_WRONLY | O_CREAT | O_TRUNC
    switch output {
    case .caught:
      let path = folder.appending(path: "output").path
      posix_spawn_file_actions_addopen(&actions, 1, path, flags, 0o600)
    case .closed: posix_spawn_file_actions_addclose(&actions, 1)
    case .file(let path, let flags):
      posix_spawn_file_actions_addopen(&actions, 1, path, flags, 0)
    }
    posix_spawn_file_actions_addopen(
      &actions, 2, folder.appending(path: "error").path, flags, 0o600)

    process = try Self.spawn((command ?? [Self.path]) + arguments, &actions)
  }

  /// Starts a program with signals as a shell gives them.
  ///
  /// - Parameter flags: further ones of posix_spawn(3).
  static func spawn(
    _ words: [String], _ actions: inout posix_spawn_file_actions_t, flags: Int16 = 0
  ) throws -> pid_t {
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP] {
      sigaddset(&signals, signal)
    }
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSIGMASK) | flags)

    var pointers = words.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    var process: pid_t = 0
    let status = posix_spawnp(&process, words[0], &actions, &attributes, &pointers, environ)
    try #require(status == 0, "\(words[0]) cannot be started: \(status)")
    return process
  }

  deinit {
    if hasEnded { return }
    kill(process, SIGKILL)
    while waitpid(process, nil, 0) < 0 && errno == EINTR {}
    try? FileManager.default.removeItem(at: folder)
  }

  func send(_ signal: Int32) {
    kill(process, signal)
  }

  /// The standard error so far.
  var errorSoFar: String {
    (try? String(contentsOf: folder.appending(path: "error"), encoding: .utf8)) ?? ""
  }

  /// The standard output so far.
  var outputSoFar: String {
    (try? String(contentsOf: folder.appending(path: "output"), encoding: .utf8)) ?? ""
  }

  /// Waits until the program has ended.
  func wait() throws -> Outcome {
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 && errno == EINTR {}
    hasEnded = true
    defer { try? FileManager.default.removeItem(at: folder) }
    func text(_ name: String) -> String {
      (try? String(contentsOf: folder.appending(path: name), encoding: .utf8)) ?? ""
    }
    let signal = status & 0x7F
    return Outcome(
      status: signal == 0 ? status >> 8 & 0xFF : nil, signal: signal == 0 ? nil : signal,
      output: text("output"), error: text("error"))
  }

  /// Runs the program to its end.
  static func run(
    _ arguments: String..., output: Sink = .caught
  ) throws -> Outcome {
    try HoldfastProgram(arguments, output: output).wait()
  }
}

extension HoldfastProgram.Outcome {
  /// Expects a failure with this status, one line of plain English in the known form that has the
  /// words, and nothing on standard output.
  func expectFailure(
    _ status: Int32, _ words: String, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(self.status == status, "\(self)", sourceLocation: sourceLocation)
    #expect(output.isEmpty, "\(self)", sourceLocation: sourceLocation)
    #expect(error.hasPrefix("holdfast: error: "), "\(self)", sourceLocation: sourceLocation)
    #expect(
      error.hasSuffix("\n") && error.count { $0.isNewline } == 1, "\(self)",
      sourceLocation: sourceLocation)
    #expect(error.contains(words), "\(self)", sourceLocation: sourceLocation)
    #expect(PlainEnglish.bannedPhrases(in: error) == [], "\(self)", sourceLocation: sourceLocation)
  }
}
