internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux

/// One run of `holdfast wire`. Everything it allocates is freed before it returns, fails or is
/// ended by a signal.
struct WireRun {
  let plan: WirePlan
  let path: GuestMemory.WirePath
  /// Whether the program chooses the backing.
  let isAutomatic: Bool
  let requireLocked: Bool
  let checkInvariants: Bool
  let threads: Int?
  /// How the guest's pages are spread over the arena's nodes.
  let guestPolicy: DomainPolicy

  func perform() throws -> WireResult {
    let progress = ProgressBar()
    return try plan.perform(cleaning: progress) { host in try wire(progress, host) }
  }

  /// Prepares the arena, wires and verifies, and frees the arena.
  private func wire(_ progress: ProgressBar, _ host: HostCapabilities) throws -> WireResult {
    progress.begin("preparing memory", .bytes(done: .zero, total: plan.memory))
    let arena = try Arena(
      size: plan.memory, backing: plan.backing, nodes: plan.nodes, host: host, threads: threads
    ) {
      progress.update(.bytes(done: $0, total: plan.memory))
    }
    let guest = WiredGuest(
      memory: plan.memory, path: path, requireLocked: requireLocked,
      checkInvariants: checkInvariants, guestPolicy: guestPolicy)
    return try guest.wire(
      on: arena, host, progress, reserved: plan.missing, isAutomatic: isAutomatic)
  }
}

/// A guest with all the memory of an arena, wired and verified.
struct WiredGuest {
  let memory: ByteCount
  let path: GuestMemory.WirePath
  let requireLocked: Bool
  let checkInvariants: Bool
  var guestPolicy = DomainPolicy.firstTouch

  func wire(
    on arena: Arena, _ host: HostCapabilities, _ progress: ProgressBar,
    reserved: (pages: PageCount, pageSize: ByteCount)?, isAutomatic: Bool
  ) throws -> WireResult {
    if requireLocked, let problem = arena.preparation.lockProblem {
      throw CLIError(
        "cannot lock \(memory) of memory: \(problem); try: --backing hugetlb-2M, which needs no "
          + "lock, or see holdfast host for the command that raises the limit")
    }
    // In the arena's own mapping there is nothing that the fault path could enter.
    let guest = try GuestMemory(
      arena: arena, limit: memory, for: path == .fault ? nil : .wiring, hostNUMANode: guestPolicy,
      host: host)
    let segment = try guest.allocateSegment("ram", size: memory)
    progress.begin("wiring \(memory)")
    let receipt = try guest.map(segment, at: .zero, options: .wired, path: path)
    progress.begin("verifying the receipt")
    let verification = try receipt.verify()
    return WireResult(
      receipt, verification, arena: arena.preparation, reserved: reserved,
      isAutomatic: isAutomatic, brokenInvariants: checkInvariants ? guest.invariantProblems() : nil
    )
  }
}
