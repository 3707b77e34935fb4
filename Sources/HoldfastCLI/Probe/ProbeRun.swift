internal import FoundationEssentials
internal import Glibc
internal import Holdfast
internal import HoldfastCore
internal import HoldfastKVM
internal import HoldfastLinux

/// One run of `holdfast probe`. Everything it allocates is freed before it returns, fails or is
/// ended by a signal.
struct ProbeRun {
  let plan: ProbePlan
  let mode: ProbeMode
  let cpus: Int
  let threads: Int?
  /// How the guest's pages are spread over the arena's nodes.
  let guestPolicy: DomainPolicy
  /// The file that keeps the snapshot, or nil for a temporary file.
  let snapshotFile: String?

  /// The seeds of the words that the first guest writes, and the second.
  private static let seeds: (first: UInt64, second: UInt64) = (1, 0x5EED)

  func perform() throws -> ProbeResult {
    let progress = ProgressBar()
    return try plan.wire.perform(cleaning: progress) { host in try probe(progress, host) }
  }

  /// Prepares the arena, runs the guests, and frees the arena.
  private func probe(_ progress: ProgressBar, _ host: HostCapabilities) throws -> ProbeResult {
    let total = plan.wire.memory
    progress.begin("preparing memory", .bytes(done: .zero, total: total))
    let arena = try arena(progress, host)
    var result = ProbeResult(mode, plan, cpus: cpus, arena.preparation)
    switch mode {
    case .wired, .demand: try touch(arena, host, progress, &result)
    case .fork: try fork(arena, host, progress, &result)
    case .snapshot: try snapshot(arena, host, progress, &result)
    }
    return result
  }

  private func arena(
    _ progress: ProgressBar, _ host: HostCapabilities
  ) throws(HoldfastError) -> Arena {
    let total = plan.wire.memory
    do throws(HoldfastError) {
      return try Arena(
        size: total, for: mode.purpose, backing: plan.backing, nodes: plan.wire.nodes, host: host,
        threads: threads
      ) {
        progress.update(.bytes(done: $0, total: total))
      }
    } catch {
      guard mode == .fork else { throw error }
      throw HoldfastError(
        error.code, operation: error.operation + " for a guest of \(plan.layout.size) and its fork",
        reason: error.reason, errno: error.errno, advice: error.advice)
    }
  }

  private func memory(
    _ arena: Arena, _ host: HostCapabilities, _ failures: ProbeFailures
  ) throws(HoldfastError) -> GuestMemory {
    try GuestMemory(
      arena: arena, limit: plan.layout.limit, hostNUMANode: guestPolicy,
      demandPaging: plan.countsFaults ? failures.paging : nil, host: host)
  }

  /// The guest's memory in two parts: the part that the first guest fills, and the part that stays
  /// zero.
  private var parts: (filled: [AddressRange], zero: [AddressRange]) {
    let size = plan.layout.size
    let most = ByteCount(size.rawValue / 4 * 3)
    let cut = most.roundedDown(to: size >= .mebibytes(8) ? .mebibytes(2) : .kibibytes(4))
    let limit = cut == .zero ? size : cut
    var (filled, zero): ([AddressRange], [AddressRange]) = ([], [])
    for piece in plan.layout.pieces {
      let length = min(piece.range.length, limit - min(limit, piece.offset))
      let middle = piece.range.start + length
      if middle > piece.range.start {
        filled.append(AddressRange(from: piece.range.start, to: middle))
      }
      if piece.range.end > middle { zero.append(AddressRange(from: middle, to: piece.range.end)) }
    }
    return (filled, zero)
  }

  // MARK: wired, demand

  private func touch(
    _ arena: Arena, _ host: HostCapabilities, _ progress: ProgressBar,
    _ result: inout ProbeResult
  ) throws {
    let failures = ProbeFailures()
    let memory = try memory(arena, host, failures)
    if mode == .wired { progress.begin("wiring \(plan.layout.size)") }
    let receipts = try memory.mapRAM(plan.layout, options: mode == .wired ? .wired : [])
    if mode == .wired {
      result.wireSeconds = receipts.reduce(0) { $0 + $1.duration.seconds }
    }
    let guest = try ProbeGuest(memory, failures, cpus: cpus)
    progress.begin("the guest accesses its memory")
    let ranges = plan.layout.pieces.map(\.range)
    result.add(touching: try guest.run(.scan, over: ranges))
    progress.begin("checking the contents")
    result.check(guest.isZero(ranges), "bytes that no guest has written are not zero")
    result.finish(guest)
    if mode == .wired {
      result.check(
        result.faultCount == 0,
        "page faults occurred on wired memory")
    }
  }

  // MARK: fork

  private func fork(
    _ arena: Arena, _ host: HostCapabilities, _ progress: ProgressBar,
    _ result: inout ProbeResult
  ) throws {
    let (filled, zero) = parts
    let failures = ProbeFailures()
    let memory = try memory(arena, host, failures)
    try memory.mapRAM(plan.layout)
    let parent = try ProbeGuest(memory, failures, cpus: cpus)
    progress.begin("the first guest fills its memory")
    result.fillSeconds = try parent.run(.fill, over: filled, seed: Self.seeds.first).duration
      .seconds
    let (childMemory, receipt) = try memory.fork()
    result.fork = receipt
    let child = try ProbeGuest(childMemory, failures, cpus: cpus)
    progress.begin("the fork reads its memory")
    result.add(checking: try child.run(.check, over: filled, seed: Self.seeds.first))
    result.add(touching: try child.run(.scan, over: zero))
    progress.begin("the fork writes to its memory")
    let writing = try child.run(.fill, over: filled + zero, seed: Self.seeds.second)
    result.writeSeconds = writing.duration.seconds
    result.add(exits: writing)
    progress.begin("checking both guests")
    let changed = try parent.wrongBytes(in: filled, seed: Self.seeds.first)
    result.check(changed == 0, "\(changed) bytes of the first guest changed")
    result.check(parent.isZero(zero), "zeros of the first guest changed")
    let lost = try child.wrongBytes(in: filled + zero, seed: Self.seeds.second)
    result.check(lost == 0, "\(lost) bytes differ from what the fork wrote")
    result.finish(child)
  }

  // MARK: snapshot

  private func snapshot(
    _ arena: Arena, _ host: HostCapabilities, _ progress: ProgressBar,
    _ result: inout ProbeResult
  ) throws {
    let (filled, zero) = parts
    let path = snapshotFile ?? Self.temporaryPath()
    // The first guest is freed before the second one is created: the memory suffices for one.
    try save(arena, host, filled, path, progress, &result)
    let failures = ProbeFailures()
    let memory = try memory(arena, host, failures)
    let segment: MemorySegment
    do {
      // The segment keeps the file open; the name is no longer needed.
      defer { if snapshotFile == nil { _ = unsafe unlink(path) } }
      segment = try memory.restoreSegment("ram", from: path)
    }
    for piece in plan.layout.pieces {
      try memory.map(
        segment, at: piece.range.start, offset: piece.range.start - .zero,
        length: piece.range.length)
    }
    let guest = try ProbeGuest(memory, failures, cpus: cpus)
    progress.begin("the restored guest reads its memory")
    result.add(checking: try guest.run(.check, over: filled, seed: Self.seeds.first))
    result.add(touching: try guest.run(.scan, over: zero))
    progress.begin("checking the contents")
    result.check(guest.isZero(zero), "bytes that no guest has written are not zero")
    result.finish(guest)
  }

  private func save(
    _ arena: Arena, _ host: HostCapabilities, _ filled: [AddressRange], _ path: String,
    _ progress: ProgressBar, _ result: inout ProbeResult
  ) throws {
    let failures = ProbeFailures()
    let memory = try memory(arena, host, failures)
    try memory.mapRAM(plan.layout)
    let guest = try ProbeGuest(memory, failures, cpus: cpus)
    progress.begin("the first guest fills its memory")
    result.fillSeconds = try guest.run(.fill, over: filled, seed: Self.seeds.first).duration.seconds
    progress.begin("saving its memory", .bytes(done: .zero, total: plan.layout.limit))
    let receipt = try memory.save(
      AddressRange(from: .zero, to: .zero + plan.layout.limit), to: path, threads: threads
    ) {
      progress.update(.bytes(done: $0, total: $1))
    }
    result.snapshot = receipt
    result.snapshotFile = snapshotFile
    withExtendedLifetime(guest) {}
  }

  private static func temporaryPath() -> String {
    TemporaryFolder.path + "/holdfast-probe-" + String(UInt64.random(in: 0 ... .max), radix: 36)
  }
}
