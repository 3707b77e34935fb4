internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastReservoir

/// What `lease` and `run` ask for alike.
struct LeaseRequestOptions: ParsableArguments {
  @Flag(help: "Only a file of just this size; no larger one is cut.")
  var exact = false

  @Flag(
    help: ArgumentHelp(
      "Where no file is large enough, take the largest and bring in what it lacks, which takes the "
        + "kernel's time to zero that."))
  var grow = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "How long to wait for memory to become ready: seconds, or with a unit, 10m. (default: 0)",
      valueName: "seconds"),
    transform: { try span($0) })
  var wait: Duration?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Only memory that was filled from this NUMA node. (default: any)", valueName: "node"),
    transform: { NodeID(UInt32(try wholeNumber($0, in: 0...1023))) })
  var hostNumaNode: NodeID?

  func validate() throws {
    if exact, grow { throw ValidationError("'--exact' and '--grow' exclude each other") }
  }

  func request(_ size: ByteCount, _ name: LeaseName?) -> LeaseRequest {
    var request = LeaseRequest(size: size, name: name)
    request.isExact = exact
    request.grows = grow
    request.node = hostNumaNode
    request.timeout = wait ?? .zero
    return request
  }
}

/// `holdfast reservoir lease`.
struct ReservoirLeaseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lease",
    abstract: "Take ready memory and print the path of its file.",
    usage: "holdfast reservoir lease --size <size> [--name <name>] [<options>]",
    discussion: """
      Takes a file of just the size, else the smallest larger one, which is cut to size; the rest goes \
      back to the host. The file is yours, for QEMU's memory-backend-file for one, until you release \
      or recycle it: it belongs to no process, and gc leaves it alone unless told \
      --older-than. `holdfast run` leases for the life of a monitor.
      """)

  @Option(
    name: [.customShort("m"), .long], parsing: .unconditional,
    help: ArgumentHelp(
      "How much, with K, M, G or T: 512M, 10G. A number alone is in bytes.", valueName: "size"),
    transform: { try Size($0) })
  var size: Size

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The lease's name: 1 to 128 letters, digits, - and _. (default: one that nobody has)",
      valueName: "name"),
    transform: { try leaseName($0) })
  var name: LeaseName?

  @OptionGroup var request: LeaseRequestOptions
  @OptionGroup var place: ReservoirOptions
  @OptionGroup var output: FormatOptions

  func run() throws {
    if let note = size.note { Output.note(note) }
    let lease = try place.reservoir().lease(request.request(size.bytes, name))
    do throws(CLIError) {
      switch output.format {
      case .text: try Output.write(lease.receipt.path + "\n")
      case .json: try Output.write(json(lease.receipt))
      }
    } catch {
      throw CLIError("\(error.line); '\(lease.receipt.name)' is leased all the same")
    }
  }
}
