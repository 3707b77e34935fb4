internal import ArgumentParser

/// `holdfast bench`, which only knows its subcommands.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure ways to get guest memory against each other on this host.",
    subcommands: [
      BenchWireCommand.self, BenchScrubCommand.self, BenchGuestCommand.self, BenchQEMUCommand.self,
    ])
}
