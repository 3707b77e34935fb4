internal import ArgumentParser
internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir

/// `holdfast wire`.
struct WireCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wire",
    abstract: "Wire a guest's memory, and show what was really obtained.",
    usage: "holdfast wire [--memory <size>] [<options>]",
    discussion: """
      Prepares an arena, which is host memory that is populated and locked, as a monitor does once \
      for all its guests. Then maps and wires a segment of it at guest address 0, which is what a \
      guest waits for when it starts, checks the result against the kernel's own view, prints the \
      receipt, and frees everything.

      Works as any user. Without huge pages, or if the kernel refuses to lock memory, the command \
      uses what is available and reports that.
      """)

  @OptionGroup var options: MemoryOptions

  @Option(
    help: ArgumentHelp(
      "How to wire: prefault allocates superpages and enters them by the run; fault handles one "
        + "page at a time, as if the guest had accessed it, for comparison; auto is prefault.",
      valueName: "path"))
  var path = GuestMemory.WirePath.automatic

  @Flag(help: "Fail with status 1 if the kernel does not lock all of the memory.")
  var requireLocked = false

  @Flag(
    help: ArgumentHelp(
      "Debug: afterwards also check every frame, page, wire count, reference and translation of "
        + "the VM layer; a broken invariant is a problem, with status 1."))
  var checkInvariants = false

  @Flag(
    help: ArgumentHelp(
      "Lease the arena's memory from the reservoir, which takes milliseconds, and end the lease "
        + "afterwards as holdfast run does. Requires --memory. After kill -9, holdfast reservoir "
        + "gc collects the memory."))
  var fromReservoir = false

  @OptionGroup var place: ReservoirOptions

  @OptionGroup var output: FormatOptions

  func validate() throws {
    guard fromReservoir else {
      if place.mount != nil {
        throw ValidationError("'--mount' requires '--from-reservoir'")
      }
      return
    }
    guard options.memory != nil else {
      throw ValidationError("'--from-reservoir' requires '--memory <size>', the size to lease")
    }
    let excluded = [
      ("--backing", options.backing != .auto), ("--reserve-hugepages", options.reserveHugepages),
      ("--host-numa-node", options.hostNumaNode != nil),
    ].first { $0.1 }
    if let excluded {
      throw ValidationError(
        "'\(excluded.0)' cannot be combined with '--from-reservoir', which leases ready memory")
    }
  }

  func run() throws {
    let result: WireResult
    if fromReservoir, let memory = options.memory {
      Output.note(on: memory)
      _ = try ZeroingChoice.environment()
      let run = LeasedWireRun(
        memory: memory.bytes, path: path, requireLocked: requireLocked,
        checkInvariants: checkInvariants, threads: options.threads)
      result = try run.perform(on: ReservoirAccess(mount: place.mount.map(absolute)))
    } else {
      let run = WireRun(
        plan: try options.plan(), path: path, isAutomatic: options.backing == .auto,
        requireLocked: requireLocked, checkInvariants: checkInvariants, threads: options.threads,
        guestPolicy: options.guestPolicy)
      result = try run.perform()
    }
    try output.write(result, text: result.text)
    guard result.isVerified else {
      throw CLIError(
        "the memory differs from its receipt: " + result.problems.joined(separator: "; ")
          + "; try: another --backing, and report this with the output of `holdfast host`")
    }
  }
}

extension GuestMemory.WirePath: ExpressibleByArgument {}
