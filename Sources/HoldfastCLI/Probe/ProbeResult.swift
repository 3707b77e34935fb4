internal import Holdfast
internal import HoldfastCore
internal import HoldfastKVM
internal import HoldfastLinux

/// What `holdfast probe` prints, as JSON, whose keys do not change. Byte counts are numbers; what a
/// mode does not do is null. Page faults and exits are those of the probed guest, which is the
/// second of two.
struct ProbeResult {
  let mode: ProbeMode
  let memoryBytes: ByteCount
  let cpus: Int
  let backing: Backing
  /// How long the guest took to access each page once.
  var touchSeconds = 0.0
  /// How many pages it accessed.
  var touchedPages: UInt64 = 0
  /// The page faults that userfaultfd reported; nil if it was not used.
  var faults: FaultStatistics?
  /// Why virtual processors left the guest, and how often.
  var exits: [String: UInt64] = [:]
  /// Bytes of words that should be zero and are not.
  var nonzeroBytes: UInt64 = 0
  /// Bytes of words that differ from what another guest wrote.
  var wrongBytes: UInt64 = 0
  /// The guest's resident memory at the end, and how much of that it shares.
  var residentBytes = ByteCount.zero
  var sharedBytes = ByteCount.zero
  var verified = true
  /// What was wrong.
  var problems: [String] = []
  /// How long the arena took to prepare.
  let arenaSeconds: Double
  /// Huge pages that were added to the pool for this run and returned; nil without.
  let reservedPages: UInt64?

  var wireSeconds: Double?
  /// How long the first guest took to write.
  var fillSeconds: Double?
  var fork: ForkReceipt?
  /// How long the fork took to write to all its pages.
  var writeSeconds: Double?
  var snapshot: SnapshotReceipt?
  /// The file, if it was kept.
  var snapshotFile: String?

  init(_ mode: ProbeMode, _ plan: ProbePlan, cpus: Int, _ arena: Arena.Preparation) {
    self.mode = mode
    memoryBytes = plan.layout.size
    self.cpus = cpus
    backing = plan.backing
    arenaSeconds = arena.duration.seconds
    let pages = plan.wire.missing?.pages.rawValue ?? 0
    reservedPages = pages > 0 ? pages : nil
  }

  /// How many page faults occurred.
  var faultCount: UInt64 { (faults?.demandFaults ?? 0) + (faults?.copyFaults ?? 0) }

  /// Adds a pass over memory that should be zero.
  mutating func add(touching pass: GuestResult) {
    nonzeroBytes += 8 * pass.wrongWords
    note(pass, "is not zero")
  }

  /// Adds a pass over memory with another guest's words.
  mutating func add(checking pass: GuestResult) {
    wrongBytes += 8 * pass.wrongWords
    note(pass, "differs from what was written")
  }

  private mutating func note(_ pass: GuestResult, _ problem: String) {
    touchSeconds += pass.duration.seconds
    touchedPages += pass.touches
    add(exits: pass)
    check(
      pass.wrongWords == 0,
      "memory \(problem), first at \(pass.firstWrong ?? .zero)")
    check(pass.isComplete, "the guest did not finish")
  }

  mutating func add(exits pass: GuestResult) {
    for (kind, count) in pass.exits { exits[kind.rawValue, default: 0] += count }
  }

  mutating func check(_ holds: Bool, _ problem: @autoclosure () -> String) {
    guard !holds else { return }
    verified = false
    problems.append(problem())
  }

  /// Adds what the guest shows after it has finished.
  mutating func finish(_ guest: ProbeGuest) {
    if let faults = guest.faults {
      self.faults = faults
      check(faults.failures == 0, "\(faults.failures) page faults could not be served")
    }
    let all = AddressRange(from: .zero, to: .zero + guest.memory.limit)
    (residentBytes, sharedBytes) = guest.memory.residency(in: all)
    check(touchedPages == memoryBytes.rawValue >> 12, "the guest did not access all of its pages")
  }
}

extension ProbeResult: Encodable {
  private enum Key: String, CodingKey {
    case mode, memoryBytes, cpus, backing, touchSeconds, touchedPages
    case demandFaults, copyFaults, zeroedFaults, copiedFaults, pagedFaults
    case exits, nonzeroBytes, wrongBytes, residentBytes, sharedBytes, verified, problems
    case arenaSeconds, reservedPages, wireSeconds, fillSeconds, writeSeconds, snapshotFile
  }

  /// Encodes the keys of the program, and those of the fork's and snapshot's receipts.
  func encode(to encoder: any Encoder) throws {
    if let fork { try fork.encode(to: encoder) } else { try ForkReceipt.encodeNone(to: encoder) }
    if let snapshot {
      try snapshot.encode(to: encoder)
    } else {
      try SnapshotReceipt.encodeNone(to: encoder)
    }
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(mode.rawValue, forKey: .mode)
    try object.encode(memoryBytes, forKey: .memoryBytes)
    try object.encode(cpus, forKey: .cpus)
    try object.encode(backing, forKey: .backing)
    try object.encode(touchSeconds, forKey: .touchSeconds)
    try object.encode(touchedPages, forKey: .touchedPages)
    try object.encode(faults?.demandFaults ?? 0, forKey: .demandFaults)
    try object.encode(faults?.copyFaults ?? 0, forKey: .copyFaults)
    try object.encode(faults?.zeroedFaults ?? 0, forKey: .zeroedFaults)
    try object.encode(faults?.copiedFaults ?? 0, forKey: .copiedFaults)
    try object.encode(faults?.pagedFaults ?? 0, forKey: .pagedFaults)
    try object.encode(exits, forKey: .exits)
    try object.encode(nonzeroBytes, forKey: .nonzeroBytes)
    try object.encode(wrongBytes, forKey: .wrongBytes)
    try object.encode(residentBytes, forKey: .residentBytes)
    try object.encode(sharedBytes, forKey: .sharedBytes)
    try object.encode(verified, forKey: .verified)
    try object.encode(problems, forKey: .problems)
    try object.encode(arenaSeconds, forKey: .arenaSeconds)
    try object.encode(reservedPages, forKey: .reservedPages)
    try object.encode(wireSeconds, forKey: .wireSeconds)
    try object.encode(fillSeconds, forKey: .fillSeconds)
    try object.encode(writeSeconds, forKey: .writeSeconds)
    try object.encode(snapshotFile, forKey: .snapshotFile)
  }
}
