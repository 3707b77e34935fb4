public import HoldfastCore
internal import HoldfastLinux

extension WireReceipt {
  /// What `verify` found in the kernel's view of the memory.
  ///
  /// Its JSON keys fit beside those of the receipt in one object: `pages`, `nodes`, `verified`,
  /// `verifiedFrames`, `problems` and `notes`, and `presentBytes`, `kernelResidentBytes` and
  /// `kernelLockedBytes`.
  public struct Verification: Hashable, Sendable {
    /// Whether nothing contradicts the receipt.
    public var isVerified: Bool { problems.isEmpty }
    /// Bytes of the range that the kernel's page tables map.
    public let presentBytes: ByteCount
    /// Bytes of the range that are resident.
    public let residentBytes: ByteCount
    /// Bytes of the range that are locked.
    public let lockedBytes: ByteCount
    /// How many pages of each size the kernel maps.
    public let pages: [ByteCount: UInt64]
    /// Bytes by the NUMA node that they are on, or nil where the kernel does not report nodes.
    public let nodes: [NodeID: ByteCount]?
    /// Whether the host's frame numbers were compared too, which requires CAP_SYS_ADMIN.
    public let comparedFrames: Bool
    /// What contradicts the receipt, one sentence each.
    public let problems: [String]
    /// What falls short of the expectation without contradicting the receipt, one sentence each.
    public let notes: [String]
  }

  /// Compares the receipt with the kernel's view: smaps for page sizes and locks, pagemap for the
  /// page tables (with CAP_SYS_ADMIN also that they map the arena's frames), mincore(2) for
  /// residency, move_pages(2) or numa_maps for NUMA nodes. The guest may have other mappings; those
  /// of the range must still be as the call left them.
  ///
  /// - Throws: code `invalidAddress` where the guest memory has gone or the receipt was decoded,
  ///   `host` where the kernel's files cannot be read.
  /// - Complexity: O(4 KiB pages in the range). The kernel returns 17 bytes for each.
  public func verify() throws(HoldfastError) -> Verification {
    guard let memory = source.memory else {
      throw HoldfastError(
        .invalidAddress, operation: "verify a receipt", range: range,
        reason: "the guest memory that the receipt is for is gone")
    }
    let view: KernelView
    view = try memory.window.kernelView(of: range) { body in
      memory.space.forEachResident(in: range) { address, run, _ in body(address, run) }
    }
    var checks = Checks(isLocked: lockProblem == nil)
    var pages: [ByteCount: UInt64] = [:]
    for (size, bytes) in view.bytesByPageSize { pages[size] = bytes / size.rawValue }
    let present = view.present ?? view.bytesByPageSize.values.reduce(0) { $0.saturatingSum($1) }
    if view.present == nil {
      checks.notes.append("pagemap cannot be read: page tables were compared with smaps alone")
    }
    if path != nil {
      // smaps has sums only for whole mappings, and one that extends beyond the range is cut.
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
      // The kernel uses huge pages for shared memory where it has free ones, without a guarantee.
      checks.notes.append(
        "the kernel had only \(found[huge, default: 0]) of \(pages[huge, default: 0]) huge pages "
          + "of \(huge): its free memory is fragmented")
      return
    }
    for size in Set(found.keys).union(pages.keys).sorted() {
      checks.compare("pages of \(size)", found[size] ?? 0, pages[size] ?? 0)
    }
  }

  /// The comparisons' findings.
  private struct Checks {
    /// Whether all is locked. The kernel may have reclaimed memory that is not, which contradicts
    /// nothing.
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
        notes.append(
          "\(what): the kernel has reclaimed \(claimed - found), since not all is locked")
      }
    }
  }
}
