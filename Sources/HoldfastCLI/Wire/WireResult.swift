internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir

/// What `holdfast wire` prints, as JSON: keys stay as they are. Byte counts are numbers.
struct WireResult: Encodable {
  let requestedBytes: ByteCount
  let residentBytes: ByteCount
  let wiredBytes: ByteCount
  let lockedBytes: ByteCount
  /// Pages by size in bytes, as the kernel has them.
  let pages: [String: UInt64]
  /// Bytes by NUMA node, as the kernel has them; missing where it does not tell.
  let nodes: [String: ByteCount]?
  /// Where the memory was to come from, a part for each domain of the allocator.
  let domains: [Domain]
  let zeroedAheadBytes: ByteCount
  let zeroedNowBytes: ByteCount
  let backing: Backing
  /// Why it is this backing.
  private(set) var backingReason: String
  let path: String
  let wireSeconds: Double
  let stages: Stages
  /// How long the arena took, before the wiring.
  let arenaSeconds: Double
  let threads: Int
  let verified: Bool
  /// Whether the host's frame numbers could be compared.
  let verifiedFrames: Bool
  /// Whether the VM layer's books were checked too.
  let checkedInvariants: Bool
  /// What contradicts the receipt, or the VM layer's invariants.
  let problems: [String]
  let fallbacks: [String]
  /// Why not all is locked; missing where it is.
  let lockProblem: String?
  /// Huge pages that were reserved for this run and given back; missing where none were.
  let reserved: Reserved?
  /// The lease that the memory was, where it came from a reservoir.
  private(set) var lease: Lease?

  /// A lease, and what became of it.
  struct Lease: Encodable {
    let path: String
    /// How long the lease took, before the arena.
    let seconds: Double
    let end: LeaseEnd
    /// How long the end took, after all else.
    let endSeconds: Double
    /// The end as a sentence, for people.
    let sentence: String

    private enum CodingKeys: String, CodingKey {
      case path, seconds, end, endSeconds
    }
  }

  /// The result of a run on leased memory.
  func leased(_ lease: Lease) -> WireResult {
    var result = self
    result.lease = lease
    result.backingReason = "from the reservoir"
    return result
  }

  /// Where the time of wiring went, in seconds.
  struct Stages: Encodable {
    let allocating: Double
    let zeroing: Double
    let entering: Double
    let finishing: Double
  }

  /// The memory of one domain.
  struct Domain: Encodable {
    let bytes: ByteCount
    /// Missing where the kernel chose.
    let node: NodeID?
    /// `bind` or `preferred`; missing where it is bound to nothing.
    let policy: String?
  }

  struct Reserved: Encodable {
    let pages: PageCount
    let pageBytes: ByteCount
  }

  init(
    _ receipt: WireReceipt, _ verification: WireReceipt.Verification, arena: Arena.Preparation,
    reserved: (pages: PageCount, pageSize: ByteCount)?, isAutomatic: Bool,
    brokenInvariants: [String]?
  ) {
    requestedBytes = receipt.requestedBytes
    residentBytes = receipt.residentBytes
    wiredBytes = receipt.wiredBytes
    lockedBytes = receipt.lockedBytes
    pages = Dictionary(
      uniqueKeysWithValues: verification.pages.map { ("\($0.key.rawValue)", $0.value) })
    nodes = verification.nodes.map { nodes in
      Dictionary(uniqueKeysWithValues: nodes.map { ("\($0.key)", $0.value) })
    }
    domains = arena.parts.map { part in
      Domain(bytes: part.size, node: part.node, policy: part.policy?.rawValue)
    }
    zeroedAheadBytes = receipt.zeroedAheadBytes
    zeroedNowBytes = receipt.zeroedNowBytes
    backing = receipt.backing
    path = receipt.path?.rawValue ?? "none"
    wireSeconds = receipt.duration.seconds
    stages = Stages(
      allocating: receipt.stages.allocating.seconds, zeroing: receipt.stages.zeroing.seconds,
      entering: receipt.stages.entering.seconds, finishing: receipt.stages.finishing.seconds)
    arenaSeconds = receipt.arenaDuration.seconds
    threads = arena.threads
    verified = verification.isVerified && (brokenInvariants ?? []).isEmpty
    verifiedFrames = verification.comparedFrames
    problems = verification.problems + (brokenInvariants ?? [])
    checkedInvariants = brokenInvariants != nil
    fallbacks = receipt.fallbacks + verification.notes
    lockProblem = receipt.lockProblem
    let reserved = reserved.flatMap { $0.pages > .zero ? $0 : nil }
    self.reserved = reserved.map { Reserved(pages: $0.pages, pageBytes: $0.pageSize) }
    if !isAutomatic {
      backingReason = "as asked"
    } else if reserved != nil {
      backingReason = "from the reserved huge pages"
    } else {
      backingReason = arena.fallbacks.isEmpty ? "the best there is" : "the best that fits"
    }
  }
}
