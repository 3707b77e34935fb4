internal import Holdfast
internal import HoldfastCore
internal import HoldfastKVM
internal import HoldfastLinux

/// What `holdfast probe` prints, as JSON: keys stay as they are. Byte counts are numbers; what a mode does
/// not do is missing. Faults and exits are those of the guest that is probed, the second one of two.
struct ProbeResult: Encodable {
  let mode: String
  let memoryBytes: ByteCount
  let cpus: Int
  let backing: Backing
  /// How long the guest took to touch each page once.
  var touchSeconds = 0.0
  /// How many it touched.
  var touchedPages: UInt64 = 0
  /// Faults taken by userfaultfd for pages that could not be reached, and for writes to pages that could
  /// only be read.
  var demandFaults: UInt64 = 0
  var copyFaults: UInt64 = 0
  /// Of those, what brought new pages of zeros, copies of shared ones, pages of the file.
  var zeroedFaults: UInt64 = 0
  var copiedFaults: UInt64 = 0
  var pagedFaults: UInt64 = 0
  /// Why processors came back from the guest, and how often.
  var exits: [String: UInt64] = [:]
  /// Of words that should be zero, those that the guest found otherwise.
  var nonzeroBytes: UInt64 = 0
  /// Of words that another guest had written, those that the guest found otherwise.
  var wrongBytes: UInt64 = 0
  /// What is in memory for the guest at the end, and how much of that it shares.
  var residentBytes = ByteCount.zero
  var sharedBytes = ByteCount.zero
  var verified = true
  /// What was found wrong.
  var problems: [String] = []
  /// How long the arena took, before all else.
  let arenaSeconds: Double
  /// Huge pages that were reserved for this run and given back.
  let reservedPages: UInt64?

  var wireSeconds: Double?
  /// How long the first guest took to write.
  var fillSeconds: Double?
  var forkSeconds: Double?
  var forkSharedBytes: ByteCount?
  /// How long the fork took to write to all its pages.
  var writeSeconds: Double?
  var saveSeconds: Double?
  /// The size of the file, and what of it is no hole.
  var snapshotBytes: ByteCount?
  var snapshotWrittenBytes: ByteCount?
  /// Where it was kept.
  var snapshotFile: String?

  init(_ mode: ProbeMode, _ plan: ProbePlan, cpus: Int, _ arena: Arena.Preparation) {
    self.mode = mode.rawValue
    memoryBytes = plan.layout.size
    self.cpus = cpus
    backing = plan.backing
    arenaSeconds = arena.duration.seconds
    let pages = plan.wire.missing?.pages.rawValue ?? 0
    reservedPages = pages > 0 ? pages : nil
  }

  /// A pass over memory that should be zero.
  mutating func add(touching pass: GuestResult) {
    nonzeroBytes += 8 * pass.wrongWords
    note(pass, "is not zero")
  }

  /// A pass over memory that has another guest's words.
  mutating func add(checking pass: GuestResult) {
    wrongBytes += 8 * pass.wrongWords
    note(pass, "is not what was written")
  }

  private mutating func note(_ pass: GuestResult, _ problem: String) {
    touchSeconds += pass.duration.seconds
    touchedPages += pass.touches
    add(exits: pass)
    check(
      pass.wrongWords == 0,
      "the guest found that memory \(problem), first at \(pass.firstWrong ?? .zero)")
    check(pass.isComplete, "the guest did not come to its end")
  }

  mutating func add(exits pass: GuestResult) {
    for (kind, count) in pass.exits { exits[kind.rawValue, default: 0] += count }
  }

  mutating func check(_ holds: Bool, _ problem: @autoclosure () -> String) {
    guard !holds else { return }
    verified = false
    problems.append(problem())
  }

  /// The guest has done all it is to do.
  mutating func finish(_ guest: ProbeGuest) {
    if let faults = guest.faults {
      demandFaults = faults.demandFaults
      copyFaults = faults.copyFaults
      zeroedFaults = faults.zeroedFaults
      copiedFaults = faults.copiedFaults
      pagedFaults = faults.pagedFaults
      check(faults.failures == 0, "\(faults.failures) faults could not be served")
    }
    let all = AddressRange(.zero, .zero + guest.memory.limit)
    (residentBytes, sharedBytes) = guest.memory.residency(in: all)
    check(touchedPages == memoryBytes.rawValue >> 12, "the guest did not touch all of its pages")
  }
}
