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

  @Flag(
    help: ArgumentHelp(
      "Take memory that is ready: a lease of --memory from the reservoir is the arena, which takes "
        + "milliseconds, and is given back afterwards as holdfast run does it. After kill -9 "
        + "holdfast reservoir gc collects it."))
  var fromReservoir = false

  @OptionGroup var place: ReservoirOptions

  @OptionGroup var output: FormatOptions

  func validate() throws {
    guard fromReservoir else {
      if place.mount != nil {
        throw ValidationError("'--mount' is of no use without '--from-reservoir'")
      }
      return
    }
    guard options.memory != nil else {
      throw ValidationError("'--from-reservoir' needs '--memory <size>': how much to lease")
    }
    guard options.backing == .auto, !options.reserveHugepages, options.hostNumaNode == nil else {
      throw ValidationError(
        "'--from-reservoir' takes what is ready, so '--backing', '--reserve-hugepages' and "
          + "'--host-numa-node' are of no use")
    }
  }

  func run() throws {
    let result: WireResult
    if fromReservoir, let memory = options.memory {
      if let note = memory.note { Output.note(note) }
      _ = try ZeroingChoice.environment()
      let run = LeasedWireRun(
        memory: memory.bytes, path: path, requireLocked: requireLocked,
        checkInvariants: checkInvariants, threads: options.threads)
      result = try run.perform(on: place.reservoir())
    } else {
      let run = WireRun(
        plan: try options.plan(), path: path, isAutomatic: options.backing == .auto,
        requireLocked: requireLocked, checkInvariants: checkInvariants, threads: options.threads,
        guestPolicy: options.guestPolicy)
      result = try run.perform()
    }
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
