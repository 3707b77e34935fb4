public import HoldfastCore
internal import HoldfastLinux

/// What a call of `map` or `wire` really obtained, and what it took.
public struct WireReceipt: Sendable {
  /// The guest's addresses.
  public let range: AddressRange
  public var requestedBytes: ByteCount { range.length }
  /// Bytes of the range that are in memory.
  public let residentBytes: ByteCount
  /// Bytes of the range that are wired: mapped in the window, never to fault.
  public let wiredBytes: ByteCount
  /// Bytes of the range that the kernel will not reclaim: hugetlb, or locked by mlock(2).
  public let lockedBytes: ByteCount
  /// Why not all of it is locked, or nil.
  public let lockProblem: String?
  /// How many pages of each size map the range, if the kernel had all the huge pages that it was
  /// asked for; `verify` tells what it has.
  public let pages: [ByteCount: UInt64]
  /// New bytes whose frames were zero already, and those that the call had to zero.
  public let zeroedAheadBytes: ByteCount
  public let zeroedNowBytes: ByteCount
  public let backing: Backing
  /// The way the pages came, or nil where nothing was wired.
  public let path: Path?
  /// What was not as good as it could be, and why, one sentence each.
  public let fallbacks: [String]
  /// From the call to its return, and by stage.
  public let duration: Duration
  public let stages: Stages
  /// How long the arena had taken to prepare.
  public let arenaDuration: Duration

  private let source: Source

  /// The way pages are wired.
  public enum Path: String, Hashable, Sendable {
    /// Superpages allocated ahead and entered by the run.
    case prefault
    /// One page at a time.
    case fault
  }

  /// Where the time went. The fault path does all of it page by page, which counts as entering.
  public struct Stages: Hashable, Sendable {
    public let allocating: Duration
    public let zeroing: Duration
    public let entering: Duration
    public let finishing: Duration
  }

  /// The memory that the receipt is for, not kept alive by it.
  final class Source: Sendable {
    weak let memory: GuestMemory?

    init(_ memory: GuestMemory) {
      self.memory = memory
    }
  }

  init(
    _ memory: GuestMemory, _ range: AddressRange, _ summary: WireSummary, path: Path?,
    duration: Duration
  ) {
    let arena = memory.arena
    let geometry = arena.geometry
    self.range = range
    self.path = path
    self.duration = duration
    backing = arena.backing
    source = Source(memory)
    wiredBytes = geometry.bytes(summary.wiredPages)
    // Without userfaultfd the fault path populates, and the kernel maps all of a huge page at once.
    let isWhole = path == .prefault || memory.window.isAlwaysWhole
    var resident = PageCount.zero
    var pages: [ByteCount: UInt64] = [:]
    memory.space.forEachResident(in: range) { address, run, _ in
      resident += run.count
      for (size, count) in WireReceipt.pages(of: run, at: address, arena.backing, isWhole) {
        pages[size, default: 0] += count
      }
    }
    residentBytes = geometry.bytes(resident)
    self.pages = path == nil ? [:] : pages
    let locked = arena.preparation.lockProblem == nil
    lockedBytes = locked ? residentBytes : .zero
    lockProblem = arena.preparation.lockProblem
    zeroedAheadBytes = geometry.bytes(summary.zeroedAhead)
    zeroedNowBytes = geometry.bytes(summary.zeroedNow)
    stages = Stages(
      allocating: summary.allocating, zeroing: summary.zeroing, entering: summary.entering,
      finishing: summary.finishing)
    arenaDuration = arena.preparation.duration
    var fallbacks = arena.preparation.fallbacks
    if let problem = arena.preparation.lockProblem { fallbacks.append("not locked: \(problem)") }
    if summary.fragmented > .zero {
      fallbacks.append(
        "\(geometry.bytes(summary.fragmented)) in smaller blocks than aligned: "
          + "free memory lies in fragments")
    }
    if memory.zeroedAtPlacing > .zero {
      fallbacks.append(
        "\(memory.zeroedAtPlacing) were zeroed before, when the guest's memory was made")
    }
    if path == .fault, let problem = memory.window.userFaultProblem { fallbacks.append(problem) }
    self.fallbacks = fallbacks
  }

  /// The pages that the kernel maps a run with, if all went well.
  private static func pages(
    of run: FrameRun, at address: Address, _ backing: Backing, _ isWhole: Bool
  ) -> [(ByteCount, UInt64)] {
    let geometry = backing.geometry
    guard backing.isTransparentHuge, isWhole else {
      return [(geometry.pageSize, run.count.rawValue)]
    }
    let huge = ByteCount.mebibytes(2)
    let bytes = geometry.bytes(run.count)
    // Runs are told by superpage slot, so that a huge page is never cut in two.
    guard address.isAligned(to: huge), run.start.isAligned(toOrder: 9) else {
      return [(geometry.pageSize, run.count.rawValue)]
    }
    let count = bytes.rawValue / huge.rawValue
    let rest = run.count.rawValue - count * 512
    return [(huge, count), (geometry.pageSize, rest)].filter { $0.1 > 0 }
  }

  /// What `verify` found.
  public struct Verification: Hashable, Sendable {
    /// Nothing contradicts the receipt.
    public var isVerified: Bool { problems.isEmpty }
    /// Bytes of the range in the kernel's page tables, in memory, and locked.
    public let presentBytes: ByteCount
    public let residentBytes: ByteCount
    public let lockedBytes: ByteCount
    /// Pages by size as the kernel maps them.
    public let pages: [ByteCount: UInt64]
    /// The NUMA nodes that the pages are on, whatever was asked for; nil where the kernel does not
    /// tell.
    public let nodes: [NodeID: ByteCount]?
    /// Whether the host's frame numbers were compared (that takes CAP_SYS_ADMIN).
    public let comparedFrames: Bool
    /// What contradicts the receipt, one sentence each.
    public let problems: [String]
    /// What falls short of the receipt's expectation without contradicting a promise.
    public let notes: [String]
  }

  /// Checks the receipt against the kernel's own view: smaps for page sizes and locks, pagemap for
  /// what the page tables hold (and, where allowed, that it is the arena's very frames), mincore for
  /// what is in memory, move_pages(2) or numa_maps for the NUMA nodes that it is on. Other
  /// mappings of the same guest may exist; the range must be as wired.
  ///
  /// - Throws: code `host` where the kernel cannot be asked, `invalidAddress` where the memory is
  ///   gone.
  /// - Complexity: O(4 KiB pages of the range): the kernel tells 17 bytes for each of them.
  public func verify() throws(HoldfastError) -> Verification {
    guard let memory = source.memory else {
      throw HoldfastError(
        .invalidAddress, operation: "verify a receipt", range: range,
        reason: "the guest's memory is gone")
    }
    let view: KernelView
    view = try memory.window.kernelView(of: range) { body in
      memory.space.forEachResident(in: range) { address, run, _ in body(address, run) }
    }
    var checks = Checks(isLocked: lockProblem == nil)
    var pages: [ByteCount: UInt64] = [:]
    for (size, bytes) in view.bytesByPageSize { pages[size] = bytes / size.rawValue }
    let present = view.present ?? view.bytesByPageSize.values.reduce(0, +)
    if view.present == nil {
      checks.notes.append("pagemap may not be read: page tables are judged by smaps alone")
    }
    if path != nil {
      // A mapping that goes on beyond the range tells only its own sums.
      let hasSums = !view.isCut
      if view.present != nil || hasSums {
        checks.compareMemory("bytes in page tables", present, wiredBytes.rawValue)
      }
      checks.compareMemory("bytes in memory", view.resident, residentBytes.rawValue)
      if hasSums { comparePages(pages, &checks) }
    }
    if lockedBytes > .zero {
      checks.compare("bytes locked", view.locked, memory.arena.size.rawValue)
    }
    checks.compare("pages that are not the arena's", view.misplacedPages, 0)
    checks.judge(view.nodes, isBound: memory.arena.preparation.parts.contains { $0.policy != nil })
    return Verification(
      presentBytes: ByteCount(present), residentBytes: ByteCount(view.resident),
      lockedBytes: ByteCount(min(view.locked, residentBytes.rawValue)), pages: pages,
      nodes: view.nodes.bytes?.mapValues { ByteCount($0) },
      comparedFrames: view.comparedPages > 0, problems: checks.problems, notes: checks.notes)
  }

  private func comparePages(_ found: [ByteCount: UInt64], _ checks: inout Checks) {
    let huge = ByteCount.mebibytes(2)
    if backing.isTransparentHuge, found[huge, default: 0] < pages[huge, default: 0] {
      // The kernel gives huge pages to shared memory when it has them, and promises nothing.
      checks.notes.append(
        "the kernel had only \(found[huge, default: 0]) huge pages of \(huge) for "
          + "\(pages[huge, default: 0]): its free memory lies in fragments")
      return
    }
    for size in Set(found.keys).union(pages.keys).sorted() {
      checks.compare("pages of \(size)", found[size] ?? 0, pages[size] ?? 0)
    }
  }

  /// What comes out of comparing.
  private struct Checks {
    /// Memory that is not locked may have been reclaimed since, which contradicts nothing.
    let isLocked: Bool
    var problems: [String] = []
    var notes: [String] = []

    mutating func compare(_ what: String, _ found: UInt64, _ claimed: UInt64) {
      if found != claimed { problems.append("\(what): the kernel has \(found), not \(claimed)") }
    }

    mutating func judge(_ view: NodeView, isBound: Bool) {
      compare("bytes on other nodes than their domains are bound to", view.strayBytes, 0)
      if view.displacedBytes > 0 {
        notes.append(
          "\(ByteCount(view.displacedBytes)) on other nodes than those that were preferred")
      }
      if isBound, let problem = view.problem { notes.append("nodes: \(problem)") }
    }

    mutating func compareMemory(_ what: String, _ found: UInt64, _ claimed: UInt64) {
      if isLocked || found > claimed {
        compare(what, found, claimed)
      } else if found < claimed {
        notes.append("\(what): the kernel has taken \(claimed - found) back, as none is locked")
      }
    }
  }
}
