public import HoldfastCore
internal import Synchronization
internal import SystemPackage

/// The physical memory of guests: one file in memory, or private memory, all of it
/// resident. The number of a frame is its offset there over the base page.
///
/// The memory is mapped once in this process, for zeroing and copying (the direct map), and a file by
/// parts in windows, where guests reach it; without a file they reach it in the direct map.
///
/// Why no guest ever meets SIGBUS for want of memory: the kernel raises it when a page of a file
/// mapping cannot be had at the moment of the touch, past the end of the file or for shortage. Here
/// every page that the allocator gives out was brought in by MADV_POPULATE_WRITE before, which reports
/// shortage as an error; the file's size is sealed; nobody else has its descriptor, and only pages
/// that are out of the allocator's hands are given back (`shrink`); hugetlb pages are never
/// reclaimed, and other pages are kept by mlock(2) on the direct map. (Where the host refuses to lock they may be swapped out, and come back.)
/// The size of a file that an arena has adopted cannot be sealed: who else may write to it could cut it,
/// so only permissions keep that from happening (`init(adoptingZeroed:)`).
public final class Arena: FrameStore {
  public let backing: Backing
  /// How large the arena may grow. A multiple of the backing's page.
  public let maximumSize: ByteCount
  /// The allocator of the arena's frames, all of them free and zeroed at first, and their bytes. It
  /// has a domain for each node that the memory was taken from.
  public var memory: PhysicalMemory {
    PhysicalMemory(allocator: allocator, store: self, state: state)
  }
  public let allocator: FrameAllocator
  private let state: PhysicalMemoryState
  /// How the arena came to be.
  public let preparation: Preparation

  /// The domains' memory, in the order of the allocator's domains.
  let parts: [ArenaPart]
  /// Nil for private memory.
  let file: MemoryFile?
  let directMap: DirectMap
  /// How threads were asked for.
  let threads: Int

  /// Held while the arena grows or shrinks.
  let resizing = Lock()
  /// The frames that have no memory behind them now, in ascending order. Protected by `resizing`.
  nonisolated(unsafe) var offline: [FrameRun]

  /// What the preparation of an arena took and met.
  public struct Preparation: Hashable, Sendable {
    /// From the first system call to the last.
    public var duration = Duration.zero
    /// Threads that brought memory in.
    public var threads = 1
    /// Why better backings were passed over, one sentence each.
    public var fallbacks: [String] = []
    /// Bytes that the kernel will not reclaim: hugetlb by its nature, other memory when mlock(2)
    /// was allowed.
    public var lockedBytes = ByteCount.zero
    /// Why not all of it is locked.
    public var lockProblem: String?
    /// Where it was to come from, a part for each domain of the allocator, in order. A receipt's
    /// verification tells where it is.
    public var parts: [Part] = []
  }

  /// The memory of one domain.
  public struct Part: Hashable, Sendable {
    public var size: ByteCount
    /// Nil where the kernel chose.
    public var node: NodeID?
    /// How it is bound to the node: nil where there was no need, the host having but one. Where the
    /// host refused to bind it, it is only preferred, by threads that run on the node.
    public var policy: HostNodes.Policy?
  }

  public var geometry: Geometry { allocator.geometry }

  /// How much memory the arena has now, a multiple of the backing's page. Takes the allocator's locks.
  public var size: ByteCount { geometry.bytes(allocator.occupancy.total) }

  /// The file's descriptor, for comparisons with what the kernel does with it alone; nil where there is
  /// none.
  package var descriptor: Int32? { file?.descriptor }

  /// Brings memory in from the host: zeroed, resident, and locked if the host allows.
  ///
  /// - Parameters:
  ///   - size: rounded up to the backing's page.
  ///   - purpose: what the arena's guests need. It restricts the backing; see ``ArenaPurpose``.
  ///   - maximum: how large the arena may grow later, by addresses that are set aside for it; nil for
  ///     no larger than it is.
  ///   - backing: what to make it of, or nil for the best that serves the purpose and that the host
  ///     has free: for wiring hugetlb pages of 1 GiB, of 2 MiB, transparent huge pages of shared
  ///     memory, of private memory, base pages, in this order.
  ///   - nodes: the NUMA nodes that the memory comes from, from each as much as far as there is
  ///     room; nil for all that this process may use. Each node's part is a domain of the allocator,
  ///     bound to the node before it is brought in.
  ///   - threads: how many threads bring memory in and zero it later; nil for one a processor. Where
  ///     nodes matter they run on those whose memory they work on.
  ///   - progress: called with the bytes brought in so far, from any thread.
  /// - Throws: `HoldfastError` with code `unsupported` where the host cannot serve the purpose, with
  ///   code `invalidArgument` where the named backing cannot; otherwise with code `host`, the page
  ///   size, the pages needed and free, and what to do. Nothing is left behind then.
  public convenience init(
    size: ByteCount, for purpose: ArenaPurpose = .wiring, maximum: ByteCount? = nil,
    backing: Backing? = nil, nodes: HostNodes? = nil, host: HostCapabilities = HostProbe().host(),
    threads: Int? = nil, progress: (@Sendable (ByteCount) -> Void)? = nil
  ) throws(HoldfastError) {
    let start = ContinuousClock.now
    let threads = threads ?? host.parallelism
    var refused: [BackingChoice.Refusal] = []
    // Why the memory was not shared out to the nodes, though there are several.
    var gathered: String?
    while true {
      let choice = try BackingChoice(
        size: size, for: purpose, wanted: backing, nodes: nodes, host: host, refused: refused)
      let parts = NodeShares.parts(choice, nodes, host, spread: gathered == nil)
      let made: Prepared
      do throws(HoldfastError) {
        made = try Arena.prepare(
          choice, maximum: maximum ?? .zero, parts, host, threads: threads, progress)
      } catch {
        if nodes == nil, parts.count > 1 {
          gathered = "not shared out to the nodes: \(error.reason)"
          continue
        }
        // The host promised more than the kernel gives: a limit that cannot be seen from here, or
        // someone who was faster. Another backing may still do.
        guard backing == nil, choice.backing != .base else { throw error }
        refused.append((choice.backing, error.reason))
        gathered = nil
        continue
      }
      self.init(
        made, backing: choice.backing, size: choice.size, host: host, threads: threads,
        fallbacks: choice.fallbacks + (gathered.map { [$0] } ?? []), since: start)
      return
    }
  }

  /// An arena of what was prepared: all of it free and zeroed.
  ///
  /// - Parameter choosesZeroing: whether to measure now how to zero, where that was not done.
  init(
    _ made: Prepared, backing: Backing, size: ByteCount, host: HostCapabilities, threads: Int,
    fallbacks: [String], choosesZeroing: Bool = true, since start: ContinuousClock.Instant
  ) {
    self.backing = backing
    maximumSize = made.range.length
    file = made.file
    self.threads = threads
    let geometry = backing.geometry
    // What the arena grows by is the last part's.
    parts = made.parts.dropLast() + [made.parts[made.parts.count - 1].extended(to: maximumSize)]
    directMap = DirectMap(range: made.range, geometry: geometry, threads: threads, parts: parts)
    allocator = FrameAllocator(
      geometry: geometry, parts: Arena.frames(of: made.parts, upTo: made.range.length, geometry),
      topology: NodeTopology(distances: host.nodeDistances) { NodeID.current }, zeroed: true)
    state = PhysicalMemoryState(allocator: allocator)
    let present = geometry.pages(in: size)
    let all = geometry.pages(in: made.range.length)
    unsafe offline = present == all ? [] : [FrameRun(Frame(present.rawValue), all - present)]
    if choosesZeroing { directMap.chooseZeroing(size) }
    var preparation = made.preparation
    preparation.threads = threads
    preparation.fallbacks = fallbacks + preparation.fallbacks
    preparation.parts = made.parts.map { part in
      Part(size: ByteCount(UInt64(part.bytes.count)), node: part.node, policy: part.policy)
    }
    preparation.duration = ContinuousClock.now - start
    self.preparation = preparation
    if Arena.checksZeroed { memory.checkZeroed() }
  }

  /// The frames of each part; what the arena may grow by is the last one's.
  private static func frames(
    of parts: [ArenaPart], upTo maximum: ByteCount, _ geometry: Geometry
  ) -> [FrameAllocator.Part] {
    parts.enumerated().map { number, part in
      let start = geometry.pages(in: ByteCount(part.bytes.lowerBound))
      let present = geometry.pages(in: ByteCount(UInt64(part.bytes.count)))
      let isLast = number == parts.count - 1
      let count = isLast ? geometry.pages(in: maximum) - start : present
      return FrameAllocator.Part(
        FrameRun(Frame(start.rawValue), count), node: part.node, present: present)
    }
  }

  /// The environment variable `HOLDFAST_CHECK_ZEROED`, set to anything but 0, has every arena of the
  /// process check all that is freed or handed out as zeroed: `PhysicalMemory.checkZeroed`.
  static let checksZeroed = Environment.isSet("HOLDFAST_CHECK_ZEROED")

  deinit {
    directMap.range.release()
  }

  // MARK: FrameStore

  public func zero(_ runs: [FrameRun]) { directMap.zero(runs) }

  public func zero(_ frame: Frame, offset: ByteCount, count: ByteCount) {
    directMap.zero(frame, offset: offset, count: count)
  }

  public func isZero(_ run: FrameRun) -> Bool { directMap.isZero(run) }

  public func copy(from source: FrameRun, to destination: Frame) {
    directMap.copy(from: source, to: destination)
  }

  public func read(
    _ frame: Frame, offset: ByteCount, into bytes: inout MutableRawSpan, _ range: Range<Int>
  ) {
    directMap.read(frame, offset: offset, into: &bytes, range)
  }

  public func write(_ bytes: RawSpan, to frame: Frame, offset: ByteCount) {
    directMap.write(bytes, to: frame, offset: offset)
  }
}
