internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastReservoir

/// What a command does that finds no memory ready.
struct LeaseWaitOptions: ParsableArguments {
  @Flag(
    help: ArgumentHelp(
      "If no file is large enough, lease the largest one and populate the rest, which waits for "
        + "the kernel to zero it."))
  var grow = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Wait at most this long for memory to become ready, in seconds or with a unit: 10m. "
        + "(default: 0)",
      valueName: "seconds"),
    transform: { try span($0) })
  var wait: Duration?
}

/// The options that `lease` and `run` share.
struct LeaseRequestOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The name of the lease: 1 to 128 letters, digits, - and _. (default: an unused name)",
      valueName: "name"),
    transform: { try leaseName($0) })
  var name: LeaseName?

  @Flag(help: "Lease only a file of exactly this size; do not cut a larger one.")
  var exact = false

  @OptionGroup var missing: LeaseWaitOptions

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Lease only memory of this NUMA node. (default: any)", valueName: "node"),
    transform: { try nodeID($0) })
  var hostNumaNode: NodeID?

  func validate() throws {
    if exact, missing.grow { throw ValidationError("'--exact' and '--grow' cannot be combined") }
  }

  func request(_ size: ByteCount) -> LeaseRequest {
    var request = LeaseRequest(size: size, name: name)
    request.isExact = exact
    request.grows = missing.grow
    request.node = hostNumaNode
    request.timeout = missing.wait ?? .zero
    return request
  }
}

/// `holdfast reservoir lease`.
struct ReservoirLeaseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lease",
    abstract: "Lease ready memory and print the path of its file.",
    usage: "holdfast reservoir lease --size <size> [--name <name>] [<options>]",
    discussion: """
      Leases a file of exactly the size if one is ready, or else the smallest larger one, which is \
      cut to size; the rest returns to the host. The file is yours, for example for QEMU's \
      memory-backend-file, until you release or recycle it. It belongs to no process, and gc \
      leaves it alone without --older-than. `holdfast run` leases for the life of a monitor.

      The owner of the reservoir and root lease directly. Other users lease from the service \
      (`holdfast reservoir serve`), which must be running as root and gives them the file.
      """)

  @Option(
    name: [.customShort("m"), .long], parsing: .unconditional,
    help: ArgumentHelp(
      "The size of the memory with K, M, G or T: 512M, 10G. A number alone is in bytes.",
      valueName: "size"),
    transform: { try Size($0) })
  var size: Size

  @OptionGroup var request: LeaseRequestOptions
  @OptionGroup var place: ReservoirAccessOptions
  @OptionGroup var output: FormatOptions

  func run() throws {
    Output.note(on: size)
    let lease = try place.access().lease(request.request(size.bytes))
    do throws(CLIError) {
      try output.write(lease.receipt, text: lease.receipt.path + "\n", isForPrograms: true)
    } catch {
      throw CLIError("\(error.line); the lease '\(lease.receipt.name)' exists nevertheless")
    }
  }
}
