internal import ArgumentParser

/// The root command; its subcommands do the work.
struct HoldfastCommand: ParsableCommand {
  /// The version of the program and of the package, as in CHANGELOG.md.
  static let version = "0.2.0-dev"

  static let configuration = CommandConfiguration(
    commandName: "holdfast",
    abstract: "Wired memory for virtual machines, in milliseconds.",
    discussion: """
      Begin with `holdfast host`, which shows what this host offers for guest memory and the \
      commands that improve it. `holdfast wire` then allocates memory, wires it for a guest, \
      checks the result against the kernel's own view and prints it. `holdfast bench wire` \
      compares that with what the kernel does alone. `holdfast probe` runs a guest on the memory \
      and shows what its page faults cost. `holdfast reservoir` keeps memory ready for QEMU and \
      other monitors (VMMs), and `holdfast run` starts a monitor on that memory. `holdfast \
      template` keeps booted machines, of which `run` starts clones. `holdfast simulate` simulates \
      days of guests on a host of any size.

      A size has a binary unit or is in bytes: 512M, 2MiB, 10G, 1T, 4096. An error is one line on \
      standard error. The exit status is 64 for a wrong command line and 1 for a failure.
      """,
    version: "holdfast \(version)",
    subcommands: [
      HostCommand.self,
      WireCommand.self,
      ProbeCommand.self,
      RunCommand.self,
      ReservoirCommand.self,
      TemplateCommand.self,
      BenchCommand.self,
      SimulateCommand.self,
    ])
}
