internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir

/// What `holdfast wire` prints: the receipt, its verification, and the arena that it is from.
struct WireResult {
  let receipt: WireReceipt
  let verification: WireReceipt.Verification
  let arena: Arena.Preparation
  /// The huge pages that were added to the pools for this run and returned; nil if none were.
  let reserved: (pages: PageCount, pageSize: ByteCount)?
  /// Broken invariants of the VM layer; nil if they were not checked.
  let brokenInvariants: [String]?
  /// Why the arena has its backing.
  private(set) var backingReason: String
  /// The lease that provided the memory, or nil.
  private(set) var lease: Lease?

  /// A lease, and what became of it.
  struct Lease {
    let receipt: LeaseReceipt
    let end: LeaseEnd
    /// How long ending it took, after everything else.
    let endSeconds: Double
  }

  /// Creates a result; `reserved` counts only if it has pages.
  init(
    _ receipt: WireReceipt, _ verification: WireReceipt.Verification, arena: Arena.Preparation,
    reserved: (pages: PageCount, pageSize: ByteCount)?, isAutomatic: Bool,
    brokenInvariants: [String]?
  ) {
    self.receipt = receipt
    self.verification = verification
    self.arena = arena
    self.reserved = reserved.flatMap { $0.pages > .zero ? $0 : nil }
    self.brokenInvariants = brokenInvariants
    if !isAutomatic {
      backingReason = "as asked"
    } else if self.reserved != nil {
      backingReason = "from the reserved huge pages"
    } else {
      backingReason = arena.fallbacks.isEmpty ? "the best there is" : "the best that fits"
    }
  }

  /// The result of a run on leased memory.
  func leased(_ lease: Lease) -> WireResult {
    var result = self
    result.lease = lease
    result.backingReason = "from the reservoir"
    return result
  }

  /// Whether neither the kernel's view nor the VM layer's invariants contradict the receipt.
  var isVerified: Bool { problems.isEmpty }

  /// What contradicts the receipt, or the VM layer's invariants.
  var problems: [String] { verification.problems + (brokenInvariants ?? []) }

  /// What fell short of the best, and why.
  var fallbacks: [String] { receipt.fallbacks + verification.notes }
}

extension WireResult: Encodable {
  private enum Key: String, CodingKey {
    case verified, problems, fallbacks, domains, backingReason, threads, checkedInvariants
    case reserved, lease
  }

  /// A part of the arena; the node is null where the kernel chose, the policy where none is set.
  private struct Domain: Encodable {
    let bytes: ByteCount
    let node: NodeID?
    let policy: String?
  }

  private struct Reserved: Encodable {
    let pages: PageCount
    let pageBytes: ByteCount
  }

  private struct LeaseResult: Encodable {
    let path: String
    let seconds: Double
    let end: LeaseEnd
    let endSeconds: Double
  }

  /// Encodes the keys of the receipt and of its verification, whose `pages` are as the kernel has
  /// them, and those of the program. The keys do not change.
  func encode(to encoder: any Encoder) throws {
    try receipt.encode(to: encoder)
    try verification.encode(to: encoder)
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(isVerified, forKey: .verified)
    try object.encode(problems, forKey: .problems)
    try object.encode(fallbacks, forKey: .fallbacks)
    let domains = arena.parts.map {
      Domain(bytes: $0.size, node: $0.node, policy: $0.policy?.rawValue)
    }
    try object.encode(domains, forKey: .domains)
    try object.encode(backingReason, forKey: .backingReason)
    try object.encode(arena.threads, forKey: .threads)
    try object.encode(brokenInvariants != nil, forKey: .checkedInvariants)
    try object.encode(
      reserved.map { Reserved(pages: $0.pages, pageBytes: $0.pageSize) }, forKey: .reserved)
    let lease = lease.map {
      LeaseResult(
        path: $0.receipt.path, seconds: $0.receipt.seconds, end: $0.end,
        endSeconds: $0.endSeconds)
    }
    try object.encode(lease, forKey: .lease)
  }
}
