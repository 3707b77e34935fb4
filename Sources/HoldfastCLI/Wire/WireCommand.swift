internal import ArgumentParser
internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux

/// `holdfast wire`.
struct WireCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wire",
    abstract: "Take memory, wire it as a guest's, and show what was really obtained.",
    usage: "holdfast wire [--memory <size>] [<options>]",
    discussion: """
      Prepares an arena: memory of the host, brought in whole and locked, as a monitor would do once \
      for all its guests. Then maps and wires a segment of it at guest address 0, which is what \
      the start of a guest waits for, checks the result against the kernel's own view, prints the \
      receipt, and gives everything back.

      Works as any user. Without huge pages, or where the kernel refuses to lock memory, it takes \
      what there is and says so.
      """)

  @OptionGroup var options: MemoryOptions

  @Option(
    help: ArgumentHelp(
      "How to wire: prefault allocates superpages and enters them by the run; fault takes one "
        + "page at a time, as if the guest had touched it, for comparison; auto is prefault.",
      valueName: "path"))
  var path = GuestMemory.WirePath.automatic

  @Flag(help: "Fail, with status 1, where the kernel does not let all of the memory be locked.")
  var requireLocked = false

  @Flag(
    help: ArgumentHelp(
      "Debug: afterwards account for every frame, page, wiring, reference and translation of the "
        + "VM layer's own books too; what does not hold is a problem, with status 1."))
  var checkInvariants = false

  @OptionGroup var output: FormatOptions

  func run() throws {
    let plan = try options.plan()
    let run = WireRun(
      plan: plan, path: path, isAutomatic: options.backing == .auto, requireLocked: requireLocked,
      checkInvariants: checkInvariants, threads: options.threads, guestPolicy: options.guestPolicy)
    let result = try run.perform()
    switch output.format {
    case .text: try Output.write(result.text)
    case .json: try Output.write(json(result))
    }
    guard result.verified else {
      throw CLIError(
        "the memory is not what its receipt says: " + result.problems.joined(separator: "; ")
          + "; try: another --backing, and report this with the output of `holdfast host`")
    }
  }
}
