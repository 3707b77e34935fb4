internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastTemplate
internal import Synchronization
internal import SystemPackage

/// Threads that read the pages of a working set, in its order, ahead of the guest's touches.
///
/// The working set is cut into *pieces* of adjacent pages. A thread takes the next piece, reads
/// what is absent of it, and may enter it, as a page fault does; so it holds no lock while it
/// reads, and the guest waits for it only where it touches the page that is being read.
///
/// - A piece lies within the object. A working set is a record that another process may have
///   written; pages beyond the memory, and repeated ones, are left out.
/// - The first failure ends the prefetching, quietly: where frames are short they remain for the
///   guest's own page faults, and a file that cannot be read fails there too.
/// - The threads have references to the object and the address space, but not to the guest. `stop`
///   waits for them, and each ends after the page that it reads.
final class ClonePrefetch: Sendable {
  /// The most threads, however many a caller asks for.
  private static let mostThreads = 64
  /// The largest piece: short enough that the guest's page faults in it do not wait long.
  private static let largestPiece = ByteCount.mebibytes(2)

  /// The pages of the working set, in base pages of the arena.
  private let wanted: PageCount
  private let pieces: [PageRange]
  private let object: MemoryObject
  private let space: AddressSpace
  private let touches: CloneTouches
  private let isLarge: Bool
  private let enters: Bool
  private let start = Instant.now
  private let next = Atomic<Int>(0)
  private let isStopped = Atomic<Bool>(false)

  private let lock = Lock()
  private let ended = Lock.Condition()
  // Protected by `lock`.
  private nonisolated(unsafe) var threads: [BackgroundThread] = []
  private nonisolated(unsafe) var running = 0
  private nonisolated(unsafe) var finished: Instant?
  private nonisolated(unsafe) var problem: HoldfastError?

  /// Prepares the work; `begin` starts it.
  init(
    _ set: WorkingSet, _ object: MemoryObject, _ space: AddressSpace, _ touches: CloneTouches,
    isLarge: Bool, enters: Bool
  ) {
    self.object = object
    self.space = space
    self.touches = touches
    self.isLarge = isLarge
    self.enters = enters
    let pages = ClonePrefetch.pages(of: set, in: object, space.geometry, touches.unit)
    pieces = ClonePrefetch.pieces(
      pages, most: max(touches.unit, Self.largestPiece), space.geometry)
    wanted = pages.reduce(.zero) { $0 + $1.count }
  }

  /// The pages of a working set in the order of their touches, each once, in units of the clone or,
  /// where those are larger, of the working set.
  private static func pages(
    of set: WorkingSet, in object: MemoryObject, _ geometry: Geometry, _ unit: ByteCount
  ) -> [PageRange] {
    let step = max(unit, set.pageSize)
    guard step > .zero, set.pageSize > .zero else { return [] }
    var known: Set<UInt64> = []
    var ranges: [PageRange] = []
    let size = object.size.rawValue
    for page in set.pages {
      let (offset, overflow) = UInt64(page.number)
        .multipliedReportingOverflow(by: set.pageSize.rawValue)
      guard !overflow, known.insert(offset / step.rawValue).inserted else { continue }
      let first = geometry.pages(in: ByteCount(offset / step.rawValue * step.rawValue)).rawValue
      guard first < size else { continue }
      let count = min(size - first, max(1, geometry.pages(in: step).rawValue))
      ranges.append(PageRange(start: PageIndex(first), count: PageCount(count)))
    }
    return ranges
  }

  /// Joins pages that follow each other, up to a size.
  private static func pieces(
    _ pages: [PageRange], most: ByteCount, _ geometry: Geometry
  ) -> [PageRange] {
    let most = geometry.pages(in: most)
    var pieces: [PageRange] = []
    for page in pages {
      if let last = pieces.last, last.end == page.start, last.count + page.count <= most {
        pieces[pieces.count - 1] = PageRange(from: last.start, to: page.end)
      } else {
        pieces.append(page)
      }
    }
    return pieces
  }

  /// Starts the threads.
  func begin(threads count: Int) {
    lock.lock()
    defer { lock.unlock() }
    // `stop` may have been faster.
    if isStopped.load(ordering: .relaxed) { return }
    for _ in 0..<max(1, min(count, Self.mostThreads, pieces.count)) {
      do throws(Errno) {
        unsafe threads.append(try BackgroundThread("holdfast-ahead") { self.run() })
        unsafe running += 1
      } catch {
        // With one thread less it takes longer.
        if unsafe running > 0 { break }
        unsafe problem = HoldfastError(
          .host, operation: "read the working set of a template",
          reason: "no thread can be created", errno: error.rawValue)
        unsafe finished = .now
      }
    }
  }

  /// Ends the threads, and waits for them.
  func stop() {
    isStopped.store(true, ordering: .relaxed)
    let ending = lock.withLock {
      defer { unsafe threads = [] }
      return unsafe threads
    }
    for thread in ending {
      if thread.isCurrent { thread.detach() } else { thread.join() }
    }
  }

  /// Waits until all has been read, or nothing more will be.
  func wait() {
    lock.withLock {
      while unsafe running > 0 { ended.wait(lock) }
    }
  }

  /// How far the work is.
  struct Progress: Sendable {
    /// The pages of the working set.
    let wanted: PageCount
    /// How long it took, or has taken so far.
    let duration: Duration
    /// Whether it goes on.
    let isRunning: Bool
    /// Why it ended early.
    let problem: HoldfastError?
  }

  /// How far the work is.
  var progress: Progress {
    lock.withLock {
      unsafe Progress(
        wanted: wanted, duration: (finished ?? .now) - start, isRunning: running > 0,
        problem: problem)
    }
  }

  // MARK: The threads

  private func run() {
    var failure: HoldfastError?
    while !isStopped.load(ordering: .relaxed) {
      let number = next.wrappingAdd(1, ordering: .relaxed).oldValue
      guard number < pieces.count else { break }
      do throws(HoldfastError) {
        try bring(pieces[number])
      } catch {
        failure = error
        isStopped.store(true, ordering: .relaxed)
      }
    }
    lock.withLock {
      if unsafe problem == nil { unsafe problem = failure }
      unsafe running -= 1
      guard unsafe running == 0 else { return }
      unsafe finished = .now
      ended.broadcast()
    }
  }

  /// Brings in a piece.
  private func bring(_ piece: PageRange) throws(HoldfastError) {
    touches.begin(piece)
    defer { touches.end(piece) }
    var made: [PageRange] = []
    defer { if enters { for range in made { enter(range) } } }
    try object.pageInAll(piece, isLarge: isLarge) { range in
      touches.made(range)
      made.append(range)
    }
  }

  /// Enters pages wherever they are mapped in the guest. A page that cannot be entered, because it
  /// was unmapped or the kernel refuses it, is left to the guest's page fault.
  private func enter(_ pages: PageRange) {
    for (pmap, range) in object.mappings(of: pages) where pmap === space.pmap {
      var address = range.start
      while address < range.end, !isStopped.load(ordering: .relaxed) {
        guard let entered = try? space.enterAhead(address), entered.end > address else { return }
        address = entered.end
      }
    }
  }
}
