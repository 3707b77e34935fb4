internal import ArgumentParser
internal import HoldfastBench
internal import HoldfastLinux

/// `holdfast bench`; its subcommands do the work.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Compare ways to provide guest memory on this host.",
    subcommands: [
      BenchAllCommand.self, BenchWireCommand.self, BenchScrubCommand.self, BenchGuestCommand.self,
      BenchQEMUCommand.self, BenchTemplateCommand.self, BenchBootCommand.self,
      BenchBudgetsCommand.self,
    ])
}

/// `--runs`, for commands that compare samples.
struct RunsOption: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The number of counted runs, 1 to 1000; ministat's statistics need 3. (default: 11)",
      valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1000) })
  var runs = 11
}

extension MemoryOptions {
  /// The memory of a benchmark, as planned.
  func benchmarkMemory(_ plan: WirePlan, _ host: HostCapabilities) -> BenchmarkMemory {
    BenchmarkMemory(
      size: plan.memory, backing: plan.backing, nodes: plan.nodes, guestPolicy: guestPolicy,
      threads: threads ?? host.parallelism, host: host)
  }
}

extension ProgressBar.State {
  /// A step of a benchmark with so many runs: `warm-up, mlock`.
  ///
  /// - Parameter names: of all steps; the text has the same width in every step, so that the bar
  ///   beside it does not change its width.
  static func step(_ step: BenchmarkStep, of runs: Int, names: [String]) -> ProgressBar.State {
    let run = step.run == 0 ? "warm-up" : "run \(step.run) of \(runs)"
    let text = run + ", " + step.name
    let longest = (names + [step.name]).map(\.count).max() ?? 0
    let width = "run \(runs) of \(runs), ".count + longest
    return .steps(
      done: step.number, total: step.count,
      name: text + String(repeating: " ", count: max(0, width - text.count)))
  }
}
