public import HoldfastCore
internal import HoldfastLinux

/// What a call of `map` or `wire` obtained, and how long it took.
///
/// `description` is the receipt for people, in a few lines. As JSON it is one object with the keys
/// of `holdfast wire --format json`: byte counts are numbers in keys that end in `Bytes`, times
/// are numbers of seconds in keys that end in `Seconds`. A decoded receipt can be read but not
/// verified.
public struct WireReceipt: Sendable {
  /// The guest addresses of the call.
  public let range: AddressRange
  /// The length of the range.
  public var requestedBytes: ByteCount { range.length }
  /// Bytes of the range that are resident.
  public let residentBytes: ByteCount
  /// Bytes of the range that are wired: resident, mapped in the window, and never to fault.
  public let wiredBytes: ByteCount
  /// Bytes of the range that the kernel does not reclaim: hugetlb pages, or pages that mlock(2)
  /// locked.
  public let lockedBytes: ByteCount
  /// Why the host did not lock all of the arena, or nil where it did.
  public let lockProblem: String?
  /// How many pages of each size map the range, if the kernel had all the huge pages that it was
  /// asked for, or base pages alone where PR_SET_THP_DISABLE denies this process others. `verify`
  /// finds how many it had.
  public let pages: [ByteCount: UInt64]
  /// New bytes whose frames were zero before the call.
  public let zeroedAheadBytes: ByteCount
  /// New bytes whose frames the call zeroed.
  public let zeroedNowBytes: ByteCount
  /// The arena's backing.
  public let backing: Backing
  /// Where the guest accesses the memory.
  public let placement: GuestPlacement
  /// Why it does so there, as a phrase.
  public let placementReason: String
  /// How the pages were wired, or nil where the call wired nothing.
  public let path: Path?
  /// What fell short of the best, and why, one sentence each.
  public let fallbacks: [String]
  /// The time from the call to its return.
  public let duration: Duration
  /// The parts of `duration` by stage.
  public let stages: Stages
  /// How long the preparation of the arena took, once, before the call.
  public let arenaDuration: Duration

  let source: Source

  /// A way to wire pages.
  public enum Path: String, Hashable, Sendable, Codable {
    /// Superpages allocated ahead and entered in runs.
    case prefault
    /// One page at a time.
    case fault
  }

  /// The time of each stage. The fault path does all stages page by page, which counts as
  /// entering.
  public struct Stages: Hashable, Sendable {
    /// Allocating frames and inserting them into the memory object.
    public let allocating: Duration
    /// Zeroing dirty frames, and copying pages that are shared with other memory.
    public let zeroing: Duration
    /// Entering translations into the window.
    public let entering: Duration
    /// Making the pages valid and waking the threads that wait for them.
    public let finishing: Duration
  }

  /// The memory that the receipt is for, which the receipt does not keep alive; nil in a decoded
  /// receipt.
  final class Source: Sendable {
    weak let memory: GuestMemory?

    init(_ memory: GuestMemory?) {
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
    placement = memory.placement
    placementReason = memory.placementReason
    source = Source(memory)
    wiredBytes = geometry.bytes(summary.wiredPages)
    // Without userfaultfd the fault path populates, and the kernel maps all of a huge page at once.
    let isWhole =
      (path == .prefault || memory.window.isAlwaysWhole)
      && memory.host.transparentHugePages.processProblem == nil
    if path != nil, !backing.isTransparentHuge || !isWhole {
      // All of a wired range is resident.
      residentBytes = range.length
      pages = [geometry.pageSize: geometry.pages(in: range.length).rawValue]
    } else {
      var counts = PageCounts()
      memory.space.forEachResident(in: range) { address, run, _ in
        counts.add(run, at: geometry.pages(in: address - .zero).rawValue)
      }
      residentBytes = geometry.bytes(counts.resident)
      pages = path == nil ? [:] : counts.bySize(geometry)
    }
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
        "\(geometry.bytes(summary.fragmented)) got smaller blocks than the alignment allows: "
          + "free memory is fragmented")
    }
    if memory.zeroedAtPlacing > .zero {
      fallbacks.append(
        "\(memory.zeroedAtPlacing) were zeroed before the call, when the guest memory was created")
    }
    if path == .fault, let problem = memory.window.userFaultProblem { fallbacks.append(problem) }
    self.fallbacks = fallbacks
  }

  /// The huge and base pages that the kernel maps runs with, if all went well.
  private struct PageCounts {
    private static let pagesOfHuge: UInt64 = 512
    var resident = PageCount.zero
    private var huge: UInt64 = 0

    /// Adds a run at a page of the window. It lies within one superpage slot, so that no huge page
    /// is cut in two.
    mutating func add(_ run: FrameRun, at page: UInt64) {
      resident += run.count
      if page % Self.pagesOfHuge == 0, run.start.isAligned(toOrder: 9) {
        huge += run.count.rawValue / Self.pagesOfHuge
      }
    }

    func bySize(_ geometry: Geometry) -> [ByteCount: UInt64] {
      let base = resident.rawValue - huge * Self.pagesOfHuge
      return [ByteCount.mebibytes(2): huge, geometry.pageSize: base].filter { $0.value > 0 }
    }
  }
}
