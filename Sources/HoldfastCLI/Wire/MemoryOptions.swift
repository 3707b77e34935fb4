internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastLinux

/// `--memory`, for commands that choose a size when none is given.
struct MemorySizeOption: ParsableArguments {
  @Option(
    name: [.customShort("m"), .long], parsing: .unconditional,
    help: ArgumentHelp(
      "The guest's memory with K, M, G or T (powers of two): 512M, 10G. A number alone is in "
        + "bytes, not in MiB as in QEMU. (default: 10G or half of the available memory, whichever "
        + "is less)",
      valueName: "size"),
    transform: { try Size($0) })
  var memory: Size?
}

/// `--reserve-hugepages`, for commands that return the pages at the end.
struct HugePageOption: ParsableArguments {
  @Flag(
    help: ArgumentHelp(
      "Enlarge the pool of huge pages by what is missing, and shrink it again by the same number "
        + "at the end, also after a failure or a signal. Needs root. (After kill -9 or a crash, "
        + "nr_hugepages stays raised.)"))
  var reserveHugepages = false
}

/// `--threads`, for commands that populate or zero memory.
struct ThreadsOption: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Threads that populate and zero memory, 1 to 1024. (default: one for each available "
        + "processor)", valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1024) })
  var threads: Int?
}

/// The options of commands that allocate guest memory: its size, backing and nodes.
struct MemoryOptions: ParsableArguments {
  @OptionGroup var size: MemorySizeOption

  @Option(
    help: ArgumentHelp(
      "The kind of memory. hugetlb-1G and hugetlb-2M are huge pages of the host's pools "
        + "(nr_hugepages, as set by hugeadm or at boot). thp is shared memory with transparent "
        + "huge pages of 2M; thp-private is private memory with them, without forks and demand "
        + "paging. base is shared memory of 4K pages. auto uses the first of these that has room, "
        + "and reports why not a better one. The size must be a multiple of the page size.",
      valueName: "backing"))
  var backing = BackingOption.auto

  @OptionGroup var pool: HugePageOption
  @OptionGroup var work: ThreadsOption

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Allocate from these NUMA nodes of the host, like QEMU's host-nodes: 1, 0,2 or 0-3. Each "
        + "node provides the same amount. (default: all allowed nodes)",
      valueName: "nodes"),
    transform: { try NodeList($0) })
  var hostNumaNode: NodeList?

  @Option(
    help: ArgumentHelp(
      "How strictly to use the nodes, like QEMU's policy: bind uses no other node, preferred uses "
        + "other nodes when these are full, interleave is bind with the guest's pages taken from "
        + "each node in turn. (default: bind)",
      valueName: "policy"))
  var hostNumaPolicy: HostNUMAPolicy?

  var memory: Size? { size.memory }
  var reserveHugepages: Bool { pool.reserveHugepages }
  var threads: Int? { work.threads }

  func validate() throws {
    try WirePlan.validate(memory: memory?.bytes, backing: backing, reserve: reserveHugepages)
    if hostNumaPolicy != nil, hostNumaNode == nil {
      throw ValidationError("'--host-numa-policy' requires '--host-numa-node <nodes>'")
    }
  }

  /// The nodes that the memory comes from, or nil for any.
  var nodes: HostNodes? {
    hostNumaNode.flatMap {
      // A list that was read has a node.
      try? HostNodes($0.nodes, policy: (hostNumaPolicy ?? .bind).ofNodes)
    }
  }

  /// How the guest's pages are spread over the arena's nodes.
  var guestPolicy: DomainPolicy { hostNumaPolicy == .interleave ? .roundRobin : .firstTouch }

  /// The plan for the memory that was asked for.
  func plan() throws -> WirePlan { try plan(memory: memory?.bytes) }

  /// The plan for a size of the command's own choice; notes a size that may be a mistake.
  func plan(memory bytes: ByteCount?) throws -> WirePlan {
    Output.note(on: memory)
    _ = try ZeroingChoice.environment()
    return try WirePlan(
      HostProbe().host(), memory: bytes, backing: backing, nodes: nodes, reserve: reserveHugepages)
  }
}

/// What `--backing` takes.
enum BackingOption: String, CaseIterable, ExpressibleByArgument {
  case auto
  case hugetlb1G = "hugetlb-1G"
  case hugetlb2M = "hugetlb-2M"
  case thp
  case thpPrivate = "thp-private"
  case base

  /// The arena's argument: nil for the best backing that has room.
  var backing: Backing? { Backing(rawValue: rawValue) }

  /// Reads a name in upper or lower case: `hugetlb-2m`.
  init?(argument: String) {
    guard
      let match = Self.allCases.first(where: { $0.rawValue.lowercased() == argument.lowercased() })
    else { return nil }
    self = match
  }
}

/// What `--host-numa-policy` takes.
enum HostNUMAPolicy: String, CaseIterable, ExpressibleByArgument {
  case bind
  case preferred
  case interleave

  /// Whether other nodes may be used.
  var ofNodes: HostNodes.Policy { self == .preferred ? .preferred : .bind }
}

/// What `--hugepage-size` takes.
enum HugePageSize: String, CaseIterable, ExpressibleByArgument {
  case twoMebibytes = "2M"
  case oneGibibyte = "1G"

  var bytes: ByteCount { self == .twoMebibytes ? .mebibytes(2) : .gibibytes(1) }
}
