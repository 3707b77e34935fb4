import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

/// A store that records each piece that is zeroed, and can make the zeroing wait.
private final class WatchedStore: FrameStore, @unchecked Sendable {
  private let condition = NSCondition()
  private var isOpen: Bool
  private var started: [(frame: Frame, offset: ByteCount)] = []
  private var isWaiting = false

  init(isOpen: Bool = true) { self.isOpen = isOpen }

  var pieces: [(frame: Frame, offset: ByteCount)] {
    condition.withLock { started }
  }

  func open() {
    condition.withLock {
      isOpen = true
      condition.broadcast()
    }
  }

  /// Waits until a thread is in the middle of a piece.
  func waitForPiece() {
    condition.lock()
    while !isWaiting { condition.wait() }
    condition.unlock()
  }

  func zero(_ frame: Frame, offset: ByteCount, count: ByteCount) {
    condition.lock()
    started.append((frame, offset))
    isWaiting = !isOpen
    condition.broadcast()
    while !isOpen { condition.wait() }
    isWaiting = false
    condition.unlock()
  }

  func zero(_ runs: [FrameRun]) {}
  func isZero(_ run: FrameRun) -> Bool { true }
  func copy(from source: FrameRun, to destination: Frame) {}
  func read(
    _ frame: Frame, offset: ByteCount, into bytes: inout MutableRawSpan, _ range: Range<Int>
  ) {}
  func write(_ bytes: RawSpan, to frame: Frame, offset: ByteCount) {}
}

struct ScrubberTests {
  private func memory(
    _ frames: UInt64, _ store: any FrameStore, geometry: Geometry = .small
  ) -> PhysicalMemory {
    PhysicalMemory(
      allocator: FrameAllocator(
        geometry: geometry, checked: FrameRun(Frame(0), PageCount(frames)), zeroed: false),
      store: store)
  }

  @Test(arguments: [Geometry.small, .large, .giant], [1, 3])
  func `all free frames become zero, and others stay`(
    geometry: Geometry, threads: Int
  ) throws {
    let frames = geometry == .small ? UInt64(5000) : 40
    let machine = Machine(geometry: geometry, frames: frames, dirty: true)
    machine.memory.checkZeroed()
    let held = try #require(machine.allocator.allocate(Frame(7))).run
    let scrubber = try Scrubber(
      memory: machine.memory, options: Scrubber.Options(threads: threads))
    #expect(scrubber.waitUntilZeroed(atMost: .forIdleThreads))
    let bytes = geometry.bytes(PageCount(frames - 1))
    var statistics = scrubber.statistics
    #expect(statistics.scrubbed == bytes && statistics.beingZeroed == .zero)
    #expect(statistics.free == bytes && statistics.zeroed == bytes && statistics.zeroedShare == 1)
    #expect(statistics.busy > .zero && statistics.speed > 0 && statistics.threads == threads)
    #expect(!machine.store.isZero(held))
    // What is freed later wakes it.
    machine.allocator.free(held, zeroed: false)
    #expect(scrubber.waitUntilZeroed(atMost: .forIdleThreads))
    scrubber.stop()
    statistics = scrubber.statistics
    #expect(statistics.scrubbed == bytes + geometry.pageSize && statistics.callbacks == 0)
    #expect(machine.store.isZero(machine.allocator.frames))
  }

  @Test func `the largest blocks come first`() throws {
    let store = WatchedStore()
    let memory = memory(3 * 512, store)
    // Two large pages are whole, of the third a block of 64 and one of 2 are free.
    let blocks = (0..<3).map { _ in memory.allocator.takeDirty(largestOrder: 9)! }
    memory.allocator.free(FrameRun(blocks[0].start + PageCount(10), PageCount(2)), zeroed: false)
    memory.allocator.free(blocks[1], zeroed: false)
    memory.allocator.free(FrameRun(blocks[0].start + PageCount(64), PageCount(64)), zeroed: false)
    memory.allocator.free(blocks[2], zeroed: false)
    let scrubber = try Scrubber(memory: memory)
    #expect(scrubber.waitUntilZeroed(atMost: .forIdleThreads))
    scrubber.stop()
    let starts = store.pieces.filter { $0.offset == .zero }.map(\.frame)
    #expect(starts == [Frame(512), Frame(1024), Frame(64), Frame(10)])
    // Pieces are small, so that it can stop at any time.
    #expect(store.pieces.count == 8 + 8 + 1 + 1)
  }

  @Test func `an allocation during zeroing gets the same block as without`() throws {
    let store = WatchedStore(isOpen: false)
    let memory = memory(1 << 18, store)
    let scrubber = try Scrubber(memory: memory)
    store.waitForPiece()
    #expect(memory.allocator.occupancy.free == .zero)
    #expect(scrubber.statistics.beingZeroed == .gibibytes(1))
    let findings = ConcurrentFailures()
    let done = runThreads(2) { index in
      if index == 1 {
        if !eventually({ memory.allocator.scrubbing.reclaims > 0 }) {
          findings.report("no reclaim")
        }
        store.open()
        return
      }
      var dirty: [FrameRun] = []
      let block = memory.allocator.allocateLargest(order: 18, dirty: &dirty)
      if block?.run != FrameRun(Frame(0), PageCount(1 << 18)) { findings.report("\(block as Any)") }
      // The piece that was being zeroed is zeroed, and nothing else.
      if dirty != [FrameRun(Frame(64), PageCount((1 << 18) - 64))] { findings.report("\(dirty)") }
    }
    try #require(done, "threads hang")
    #expect(findings.all == [])
    #expect(scrubber.statistics.callbacks == 1)
    scrubber.stop()
    #expect(scrubber.statistics.scrubbed == .kibibytes(256))
  }

  @Test func `stopping and pausing free all frames`() throws {
    let store = WatchedStore(isOpen: false)
    let memory = memory(1 << 18, store)
    let scrubber = try Scrubber(memory: memory)
    store.waitForPiece()
    let findings = ConcurrentFailures()
    var done = runThreads(2) { index in
      if index == 1 {
        if !eventually({ scrubber.statistics.isPaused }) { findings.report("not paused") }
        store.open()
        return
      }
      scrubber.pause()
      if memory.allocator.occupancy.free != PageCount(1 << 18) { findings.report("frames are out") }
    }
    try #require(done, "threads hang")
    let before = scrubber.statistics
    #expect(before.isPaused && before.beingZeroed == .zero && before.scrubbed < .gibibytes(1))
    #expect(!scrubber.waitUntilZeroed(atMost: .milliseconds(20)))
    #expect(scrubber.statistics.scrubbed == before.scrubbed)
    scrubber.resume()
    #expect(scrubber.waitUntilZeroed(atMost: .forIdleThreads))
    #expect(scrubber.statistics.scrubbed == .gibibytes(1))
    done = runThreads(3) { _ in scrubber.stop() }
    try #require(done, "stopping hangs")
    #expect(memory.allocator.occupancy.free == PageCount(1 << 18))
    memory.allocator.free(memory.allocator.allocate(Frame(3))!.run, zeroed: false)
    #expect(!scrubber.waitUntilZeroed(atMost: .forIdleThreads))
    #expect(findings.all == [])
  }

  @Test func `a scrubber can start paused, and stops when it is released`() throws {
    let memory = memory(1024, WatchedStore())
    do {
      let scrubber = try Scrubber(
        memory: memory, options: Scrubber.Options(threads: 2, isPaused: true))
      #expect(!scrubber.waitUntilZeroed(atMost: .milliseconds(20)))
    }
    #expect(memory.allocator.occupancy.zeroed == .zero)
    #expect(memory.allocator.occupancy.free == PageCount(1024))
  }

  @Test func `no more than the rate allows is zeroed`() throws {
    let memory = memory(1 << 18, WatchedStore())
    let clock = ContinuousClock()
    let start = clock.now
    let rate = ByteCount.mebibytes(20)
    let scrubber = try Scrubber(
      memory: memory, options: Scrubber.Options(threads: 2, rate: rate))
    for _ in 0..<5 {
      usleep(50_000)
      let done = scrubber.statistics.scrubbed
      let elapsed = clock.now - start
      let allowed = Double(rate.rawValue) * (elapsed / .seconds(1))
      // Each thread may be a piece ahead.
      #expect(Double(done.rawValue) <= allowed + 2 * 262_144)
      // No more is being zeroed than a tenth of a second's work of each thread.
      #expect(scrubber.statistics.beingZeroed <= .mebibytes(4))
    }
    // A rest of any length is ended early.
    scrubber.stop()
    #expect(memory.allocator.occupancy.free == PageCount(1 << 18))
    let slow = try Scrubber(memory: memory, options: Scrubber.Options(rate: ByteCount(1)))
    try #require(eventually { slow.statistics.beingZeroed != .zero })
    var dirty: [FrameRun] = []
    while memory.allocator.allocateLargest(order: 18, dirty: &dirty) != nil {}
    #expect(memory.allocator.occupancy.free == .zero)
    slow.stop()
  }

  @Test func `threads run at idle priority, or the statistics say why not`() throws {
    let memory = memory(1024, WatchedStore(isOpen: true))
    let scrubber = try Scrubber(memory: memory, options: Scrubber.Options(threads: 2))
    #expect(scrubber.waitUntilZeroed(atMost: .forIdleThreads))
    let statistics = scrubber.statistics
    #expect((statistics.priority == .idle) == (statistics.priorityProblem == nil))
    if statistics.priority == .idle {
      // Field 41 of stat(5) is the policy, 5 for SCHED_IDLE; others may scrub at the same time.
      let files = HostFiles(root: "/")
      let policies = files.names(in: "/proc/self/task").compactMap { thread -> String? in
        let text = files.text("/proc/self/task/\(thread)/stat") ?? ""
        guard text.contains("(holdfast-scrub)") else { return nil }
        return text.split(separator: ")").last?.split(separator: " ").dropFirst(38).first
          .map(String.init)
      }
      // The second thread may not have run yet.
      #expect(policies.contains("5"), "\(policies)")
    }
    scrubber.stop()

    let fallback = Scrubber.lowerPriority(idle: { -1 }, nice: { 0 })
    #expect(fallback.priority == .nice)
    #expect(fallback.problem == "the host refused SCHED_IDLE: Operation not permitted")
    let none = Scrubber.lowerPriority(idle: { -1 }, nice: { -13 })
    #expect(none.priority == .normal)
    #expect(none.problem?.hasSuffix(", and nice 19: Permission denied") == true)
  }
}
