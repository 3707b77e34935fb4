public import HoldfastCore
internal import Synchronization
internal import SystemPackage

/// The physical memory of guests: one file in memory, all of it resident. The number of a frame is
/// its offset in the file over the base page.
///
/// The file is mapped once in this process, for zeroing and copying (the direct map), and by parts
/// in windows, where guests reach it.
///
/// Why no guest ever meets SIGBUS for want of memory: the kernel raises it when a page of a file
/// mapping cannot be had at the moment of the touch, past the end of the file or for shortage. Here
/// every page of the file was brought in by MADV_POPULATE_WRITE before `init` returned, which
/// reports shortage as an error; the file's size is sealed; nobody else has its descriptor, so no
/// hole is punched; hugetlb pages are never reclaimed, and shared-memory pages are kept by mlock(2)
/// on the direct map. (Where the host refuses to lock they may be swapped out, and come back.)
public final class Arena: FrameStore {
  public let backing: Backing
  /// A multiple of the backing's page.
  public let size: ByteCount
  /// The allocator of the arena's frames, all of them free and zeroed at first, and their bytes.
  public var memory: PhysicalMemory {
    PhysicalMemory(allocator: allocator, store: self, books: books)
  }
  public let allocator: FrameAllocator
  private let books: MemoryBooks
  /// How the arena came to be.
  public let preparation: Preparation

  let file: MemoryFile
  let directMap: DirectMap

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
  }

  public var geometry: Geometry { allocator.geometry }

  /// The file's descriptor, for comparisons with what the kernel does with it alone.
  package var descriptor: Int32 { file.descriptor }

  /// Brings memory in from the host: zeroed, resident, and locked if the host allows.
  ///
  /// - Parameters:
  ///   - size: rounded up to the backing's page.
  ///   - backing: what to make it of, or nil for the best that the host offers now: hugetlb of
  ///     1 GiB, of 2 MiB, transparent huge pages, base pages, in this order.
  ///   - threads: how many threads bring memory in and zero it later; nil for one a processor.
  ///   - progress: called with the bytes brought in so far, from any thread.
  /// - Throws: `HostError` that names the page size, the pages needed and free, and what to do.
  ///   Nothing is left behind then.
  public init(
    size: ByteCount, backing: Backing? = nil, host: Host = HostProbe().host(), threads: Int? = nil,
    progress: (@Sendable (ByteCount) -> Void)? = nil
  ) throws(HostError) {
    let clock = ContinuousClock()
    let start = clock.now
    let threads = threads ?? host.parallelism
    var refused: [BackingChoice.Refusal] = []
    while true {
      let choice = try BackingChoice(size: size, wanted: backing, host: host, refused: refused)
      let made: Prepared
      do throws(HostError) {
        made = try Arena.prepare(choice, host, threads: threads, progress)
      } catch {
        // The host promised more than the kernel gives: a limit that cannot be seen from here, or
        // someone who was faster. Another backing may still do.
        guard backing == nil, choice.backing != .base else { throw error }
        refused.append((choice.backing, error.what))
        continue
      }
      self.backing = choice.backing
      self.size = choice.size
      file = made.file
      let geometry = choice.backing.geometry
      directMap = DirectMap(range: made.range, geometry: geometry, threads: threads)
      allocator = FrameAllocator(
        geometry: geometry, frames: FrameRun(Frame(0), geometry.pages(in: choice.size)),
        zeroed: true)
      books = MemoryBooks(allocator: allocator)
      var preparation = made.preparation
      preparation.threads = threads
      preparation.fallbacks = choice.fallbacks
      preparation.duration = clock.now - start
      self.preparation = preparation
      return
    }
  }

  deinit {
    directMap.range.release()
  }

  // MARK: FrameStore

  public func zero(_ runs: [FrameRun]) { directMap.zero(runs) }

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
