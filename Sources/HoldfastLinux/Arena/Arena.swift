public import HoldfastCore
internal import Synchronization
internal import SystemPackage

/// The physical memory of guests: one file in memory, or private memory, all of it resident. The
/// number of a frame is its offset there divided by the base page.
///
/// The memory is mapped once in this process as a whole, for zeroing and copying (the direct map).
/// A file is also mapped by parts in windows, where guests access it; private memory they access in
/// the direct map.
///
/// No guest gets SIGBUS for a shortage of memory. The kernel raises it if the page of a file
/// mapping cannot be populated when it is accessed, because it is past the end of the file or
/// memory is short. Here MADV_POPULATE_WRITE, which reports a shortage as an error, has populated
/// every page that the allocator gives out. The size of the file is sealed. No other process has
/// its descriptor, and only pages that the allocator does not give out are returned (`shrink`).
/// Hugetlb pages are never reclaimed, and other pages are kept by mlock(2) on the direct map. (If
/// the host refuses to lock them they may be swapped out and in again.) The size of an adopted file
/// cannot be sealed: a process that may write to it could truncate it, so only permissions prevent
/// that (`init(adoptingZeroed:)`).
///
/// Safe to use from any thread.
public final class Arena: FrameStore {
  /// What the memory is made of.
  public let backing: Backing
  /// The size up to which the arena may grow, a multiple of the backing's page.
  public let maximumSize: ByteCount
  /// The arena's frames and their bytes, as the VM layer takes them. All frames are free and zeroed
  /// at first. The allocator has a domain for each node that the memory was taken from.
  public var memory: PhysicalMemory {
    PhysicalMemory(allocator: allocator, store: self, state: state)
  }
  /// The allocator of the arena's frames.
  public let allocator: FrameAllocator
  private let state: PhysicalMemoryState
  /// How the arena was prepared.
  public let preparation: Preparation

  /// The memory of each domain, in the order of the allocator's domains.
  let parts: [ArenaPart]
  /// Nil for private memory.
  let file: MemoryFile?
  let directMap: DirectMap
  /// The number of threads that populate and zero memory.
  let threads: Int
  /// Whether windows can take over the direct map's page tables (`WindowPmap.populate`).
  package let sharesPageTables: Bool

  /// Held while the arena grows or shrinks.
  let resizing = Lock()
  /// The frames without memory, in ascending order. Protected by `resizing`.
  nonisolated(unsafe) var offline: [FrameRun]
  /// Whether the host once refused to take memory back, so that frames without memory may turn out
  /// to have their old bytes. Protected by `resizing`.
  nonisolated(unsafe) var mayKeepBytes = false

  /// What the preparation of an arena took, and which problems it met.
  public struct Preparation: Hashable, Sendable {
    /// The time from the first system call to the last.
    public var duration = Duration.zero
    /// The number of threads that populated memory.
    public var threads = 1
    /// Why better backings were not used, and other restrictions, one phrase each.
    public var fallbacks: [String] = []
    /// The bytes that the kernel will not reclaim: all of a hugetlb arena, and other memory if
    /// mlock(2) succeeded.
    public var lockedBytes = ByteCount.zero
    /// Why not all memory is locked; nil if it is.
    public var lockProblem: String?
    /// The nodes that the memory was requested from, a part for each domain of the allocator, in
    /// order. The verification of a receipt reports where it really is.
    public var parts: [Part] = []
  }

  /// The memory of one domain.
  public struct Part: Hashable, Sendable {
    /// The size.
    public var size: ByteCount
    /// The node, or nil if the kernel chose.
    public var node: NodeID?
    /// How the part is bound to the node, or nil if it need not be, because the host has only one.
    /// If the host refused to bind it, the node is only preferred, by threads that run on it.
    public var policy: HostNodes.Policy?
  }

  /// The base page and the superpages.
  public var geometry: Geometry { allocator.geometry }

  /// The current size, a multiple of the backing's page. Takes the allocator's locks.
  public var size: ByteCount { geometry.bytes(allocator.occupancy.total) }

  /// The file's descriptor, for measurements of the kernel alone; nil for private memory.
  package var descriptor: Int32? { file?.descriptor }

  /// Takes memory from the host: zeroed, resident, and locked if the host allows.
  ///
  /// - Parameters:
  ///   - size: rounded up to the backing's page.
  ///   - purpose: what the arena's guests need. It restricts the backing; see ``ArenaPurpose``.
  ///   - maximum: the size up to which the arena may grow later, for which addresses are reserved;
  ///     nil for `size`.
  ///   - backing: what to make it of, or nil for the best that serves the purpose and that the host
  ///     has free: for wiring hugetlb pages of 1 GiB, of 2 MiB, transparent huge pages of shared
  ///     memory, of private memory, base pages, in this order.
  ///   - nodes: the NUMA nodes that the memory comes from, in shares as even as they have room; nil
  ///     for all that this process may use. Each node's part is a domain of the allocator, bound to
  ///     the node before it is populated.
  ///   - host: what the host offers, as just probed.
  ///   - threads: the number of threads that populate memory, and zero it later; nil for one for
  ///     each processor. If the memory is of several nodes they run on the node whose memory they
  ///     work on.
  ///   - progress: called with the bytes populated so far, from any thread.
  /// - Throws: `HoldfastError` with code `unsupported` where the host cannot serve the purpose,
  ///   with code `invalidArgument` where the named backing cannot; otherwise with code `host`, the
  ///   page size, the pages needed and free, and what to do. Everything is undone then.
  /// - Complexity: O(size): the kernel zeroes all of it, about 4 to 10 GiB per second.
  public convenience init(
    size: ByteCount, for purpose: ArenaPurpose = .wiring, maximum: ByteCount? = nil,
    backing: Backing? = nil, nodes: HostNodes? = nil, host: HostCapabilities = HostProbe().host(),
    threads: Int? = nil, progress: (@Sendable (ByteCount) -> Void)? = nil
  ) throws(HoldfastError) {
    let start = Instant.now
    let threads = threads ?? host.parallelism
    var refused: [BackingChoice.Refusal] = []
    // Why the memory was not divided among the nodes, although there are several.
    var undivided: String?
    while true {
      let choice = try BackingChoice(
        size: size, for: purpose, wanted: backing, nodes: nodes, host: host, refused: refused)
      let parts = NodeShares.parts(choice, nodes, host, spread: undivided == nil)
      let made: Prepared
      do throws(HoldfastError) {
        made = try Arena.prepare(
          choice, maximum: maximum ?? .zero, parts, host, threads: threads, progress)
      } catch {
        if nodes == nil, parts.count > 1 {
          undivided = "not divided among the nodes: \(error.reason)"
          continue
        }
        // The kernel gives less than the probe found: a limit is not visible here, or another
        // process was faster. Another backing may still do.
        guard backing == nil, choice.backing != .base else { throw error }
        refused.append((choice.backing, error.reason))
        undivided = nil
        continue
      }
      self.init(
        made, backing: choice.backing, size: choice.size, host: host, threads: threads,
        fallbacks: choice.fallbacks + (undivided.map { [$0] } ?? []), since: start)
      return
    }
  }

  /// Creates an arena of prepared memory, all of it free and zeroed.
  ///
  /// - Parameter choosesZeroing: whether to measure now how to zero, if that was not done.
  init(
    _ made: Prepared, backing: Backing, size: ByteCount, host: HostCapabilities, threads: Int,
    fallbacks: [String], choosesZeroing: Bool = true, since start: Instant
  ) {
    self.backing = backing
    maximumSize = made.range.length
    file = made.file
    self.threads = threads
    sharesPageTables = Arena.sharesPageTables(made.file, backing, size)
    let geometry = backing.geometry
    // The arena grows by the last part.
    parts = made.parts.dropLast() + [made.parts[made.parts.count - 1].extended(to: maximumSize)]
    directMap = DirectMap(range: made.range, geometry: geometry, threads: threads, parts: parts)
    allocator = FrameAllocator(
      geometry: geometry, checked: Arena.frames(of: made.parts, upTo: made.range.length, geometry),
      topology: NodeTopology(distances: host.nodeDistances) { NodeID.current }, zeroed: true)
    state = PhysicalMemoryState(allocator: allocator)
    let present = geometry.pages(in: size)
    let all = geometry.pages(in: made.range.length)
    unsafe offline = present == all ? [] : [FrameRun(Frame(present.rawValue), all - present)]
    if choosesZeroing { directMap.chooseZeroing(size) }
    _ = Rehearsal.done
    var preparation = made.preparation
    preparation.threads = threads
    preparation.fallbacks = fallbacks + preparation.fallbacks
    preparation.parts = made.parts.map { part in
      Part(size: ByteCount(UInt64(part.bytes.count)), node: part.node, policy: part.policy)
    }
    preparation.duration = Instant.now - start
    self.preparation = preparation
    if Arena.checksZeroed { memory.checkZeroed() }
  }

  /// The frames of each part; those that the arena may grow by belong to the last one.
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

  /// Whether every arena of the process checks all frames that are freed or given out as zeroed
  /// (`PhysicalMemory.checkZeroed`): the environment variable `HOLDFAST_CHECK_ZEROED`, if not 0.
  static let checksZeroed = Environment.isSet("HOLDFAST_CHECK_ZEROED")

  deinit {
    directMap.range.unmap()
  }

  // MARK: FrameStore

  /// Zeroes runs of frames on all threads. Takes no lock.
  public func zero(_ runs: [FrameRun]) { directMap.zero(runs) }

  /// Zeroes a run of frames on all threads in a named way, for measurements. Takes no lock.
  package func zero(_ run: FrameRun, by kernel: ZeroingKernel) {
    directMap.zero(run, by: kernel)
  }

  /// Zeroes `count` bytes from an offset in a frame, on the calling thread. Takes no lock.
  public func zero(_ frame: Frame, offset: ByteCount, count: ByteCount) {
    directMap.zero(frame, offset: offset, count: count)
  }

  /// Whether all bytes of a run are zero. Takes no lock.
  public func isZero(_ run: FrameRun) -> Bool { directMap.isZero(run) }

  /// Copies a run to the frames from `destination`. Takes no lock.
  public func copy(from source: FrameRun, to destination: Frame) {
    directMap.copy(from: source, to: destination)
  }

  /// Copies runs of frames on all threads. Takes no lock.
  public func copy(_ copies: [FrameCopy]) { directMap.copy(copies) }

  /// Copies bytes from an offset in a frame into a range of `bytes`. Takes no lock.
  public func read(
    _ frame: Frame, offset: ByteCount, into bytes: inout MutableRawSpan, _ range: Range<Int>
  ) {
    directMap.read(frame, offset: offset, into: &bytes, range)
  }

  /// Copies `bytes` to an offset in a frame. Takes no lock.
  public func write(_ bytes: RawSpan, to frame: Frame, offset: ByteCount) {
    directMap.write(bytes, to: frame, offset: offset)
  }
}
