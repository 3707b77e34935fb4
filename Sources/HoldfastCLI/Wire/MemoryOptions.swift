internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastLinux

/// The options of commands that take guest memory: how much, of what, brought in how.
struct MemoryOptions: ParsableArguments {
  @Option(
    name: [.customShort("m"), .long], parsing: .unconditional,
    help: ArgumentHelp(
      "The guest's memory with K, M, G or T (powers of two): 512M, 10G. A number alone is in bytes, "
        + "not in MiB as QEMU has it. A multiple of the page size of the backing. (default: 10G or "
        + "half of what is available, whichever is less)",
      valueName: "size"),
    transform: { try Size($0) })
  var memory: Size?

  @Option(
    help: ArgumentHelp(
      "What the memory is made of: hugetlb-1G and hugetlb-2M are huge pages from the host's pools "
        + "(nr_hugepages, as set by hugeadm or at boot), thp is shared memory with transparent "
        + "huge pages of 2M, thp-private is private memory with them (no forks, no demand paging), "
        + "base is shared memory of 4K pages; auto takes the first of these that has room and says "
        + "why not a better one.",
      valueName: "backing"))
  var backing = BackingOption.auto

  @Flag(
    help: ArgumentHelp(
      "Raise the pool of huge pages by as many as are missing, and lower it again by exactly that "
        + "at the end, also after a failure or a signal. Needs root. The pool is that of --backing, "
        + "of 2M pages for auto. (Not after kill -9 or a crash: nr_hugepages then stays raised.)"))
  var reserveHugepages = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Threads that bring in and zero memory, 1 to 1024. (default: one for each processor that "
        + "may be used)",
      valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1024) })
  var threads: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The NUMA nodes of this host that the memory comes from, as QEMU's host-nodes: 1, 0,2 or 0-3, "
        + "from each as much. (default: all that may be used)",
      valueName: "nodes"),
    transform: { try NodeList($0) })
  var hostNumaNode: NodeList?

  @Option(
    help: ArgumentHelp(
      "How the memory comes from them, as QEMU's policy: bind is from these nodes and no others, "
        + "preferred is from others too where they have too little, interleave is bind with the "
        + "guest's pages from each node in turn. (default: bind)",
      valueName: "policy"))
  var hostNumaPolicy: HostNUMAPolicy?

  func validate() throws {
    try WirePlan.validate(memory: memory?.bytes, backing: backing, reserve: reserveHugepages)
    if hostNumaPolicy != nil, hostNumaNode == nil {
      throw ValidationError("'--host-numa-policy' is of no use without '--host-numa-node <nodes>'")
    }
  }

  /// The nodes that the memory comes from, or nil for any.
  var nodes: HostNodes? {
    hostNumaNode.map { HostNodes($0.nodes, policy: (hostNumaPolicy ?? .bind).ofNodes) }
  }

  /// Which of the arena's nodes the guest's pages come from.
  var guestPolicy: DomainPolicy { hostNumaPolicy == .interleave ? .roundRobin : .firstTouch }

  /// What is to be taken from this host; tells the user on the way what may not have been meant.
  func plan() throws -> WirePlan {
    if let note = memory?.note { Output.note(note) }
    _ = try ZeroingChoice.environment()
    return try WirePlan(
      HostProbe().host(), memory: memory?.bytes, backing: backing, nodes: nodes,
      reserve: reserveHugepages)
  }
}
