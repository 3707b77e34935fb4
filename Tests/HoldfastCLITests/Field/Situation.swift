import Foundation
import HoldfastTestKit
import Testing

/// Runs programs in the situations of Tests/Field/situation.
enum Situation {
  private static let script = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Field/situation").path

  /// Whether the situation of these options can be made here. With CI=true, as root, it must.
  static func canMake(_ options: String...) -> Bool {
    guard HostNeeds.python else { return false }
    if HostNeeds.isStrict && HostNeeds.isRoot { return true }
    let command = ["python3", script] + options + ["--", "true"]
    return (try? HoldfastProgram([], command: command).wait().status) == 0
  }

  /// Why a test was skipped whose situation cannot be made.
  static let comment: Comment = "needs python3, root, and the situation: see Tests/Field/situation"

  /// The words that run a program, which follows them, in the situation of the options.
  static func command(_ options: [String]) -> [String] {
    ["python3", script] + options + ["--"]
  }

  /// Starts the program, or another, in the situation of the options.
  static func start(
    _ options: [String], _ arguments: [String], program: String = HoldfastProgram.path,
    output: HoldfastProgram.Sink = .caught
  ) throws -> HoldfastProgram {
    try HoldfastProgram(arguments, output: output, command: command(options) + [program])
  }

  /// Runs the program, or another, to its end.
  static func run(
    _ options: [String], _ arguments: [String], program: String = HoldfastProgram.path,
    output: HoldfastProgram.Sink = .caught
  ) throws -> HoldfastProgram.Outcome {
    let outcome = try start(options, arguments, program: program, output: output).wait()
    try #require(outcome.status != 125, "the situation cannot be made: \(outcome.error)")
    return outcome
  }
}
