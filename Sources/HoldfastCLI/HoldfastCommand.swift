internal import ArgumentParser

/// The root command, which only knows its subcommands.
struct HoldfastCommand: ParsableCommand {
  /// The version of the program and of the package.
  static let version = "0.1.0-dev"

  static let configuration = CommandConfiguration(
    commandName: "holdfast",
    abstract: "Wired memory for virtual machines, in milliseconds.",
    discussion: """
      Begin with `holdfast host`: what this machine offers for guest memory, and the commands \
      that improve it. Then `holdfast wire`: takes memory, wires it as a guest's, asks the kernel \
      what was really obtained, and prints that. `holdfast bench wire` measures it against what \
      the kernel does alone. `holdfast probe` runs a guest on the memory and shows what its touches \
      cost. `holdfast reservoir` keeps memory ready for QEMU and other monitors, \
      and `holdfast run` starts them on it. `holdfast simulate` tries a whole host's days of guests.

      Sizes have a unit that is a power of two, or are in bytes: 512M, 2MiB, 10G, 1T, 4096. \
      Errors are one line on standard error; the status is then 64 for a wrong command line and \
      1 for a failure.
      """,
    version: "holdfast \(version)",
    subcommands: [
      HostCommand.self,
      WireCommand.self,
      ProbeCommand.self,
      RunCommand.self,
      ReservoirCommand.self,
      BenchCommand.self,
      SimulateCommand.self,
    ])
}
