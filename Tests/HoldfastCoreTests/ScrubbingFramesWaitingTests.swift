import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

/// Allocations reclaim frames that are being zeroed. Run with `--sanitize=thread` too.
@Suite struct ScrubbingFramesWaitingTests {
  private let allocator = FrameAllocator(
    geometry: .small, frames: FrameRun(Frame(0), PageCount(1 << 18)), zeroed: false)

  @Test func `an allocation that would fail waits for the frames and gets a whole block`() throws {
    let scrubbing = allocator.scrubbing
    #expect(scrubbing.begin())
    let run = try #require(allocator.takeDirty(largestOrder: 18))
    #expect(run.count == PageCount(1 << 18))
    let findings = ConcurrentFailures()
    let done = runThreads(2) { [allocator] index in
      if index == 0 {
        var dirty: [FrameRun] = []
        let block = allocator.allocateLargest(order: 18, dirty: &dirty)
        if block?.run.count != PageCount(1 << 18) { findings.report("got \(block as Any)") }
        // The first part was freed as zeroed, the rest as dirty.
        if dirty != [FrameRun(Frame(100), PageCount((1 << 18) - 100))] {
          findings.report("\(dirty)")
        }
        return
      }
      if !eventually({ scrubbing.isReclaimRequested }) {
        findings.report("no reclaim was requested")
      }
      if scrubbing.begin() { findings.report("a block is taken during a reclaim") }
      allocator.free(FrameRun(run.start, PageCount(100)), zeroed: true)
      allocator.free(
        FrameRun(run.start + PageCount(100), run.count - PageCount(100)), zeroed: false)
      scrubbing.end()
    }
    try #require(done, "threads hang")
    #expect(findings.all == [])
    #expect(!scrubbing.isReclaimRequested && scrubbing.reclaims == 1)
    #expect(scrubbing.begin())
    scrubbing.end()
  }

  @Test func `allocations of base pages wait too, and all of them succeed`() throws {
    let scrubbing = allocator.scrubbing
    #expect(scrubbing.begin())
    var dirty: [FrameRun] = []
    let run = try #require(allocator.takeDirty(largestOrder: 3))
    // No other frame is free.
    while allocator.takeDirty(largestOrder: 18) != nil {}
    let findings = ConcurrentFailures()
    let done = runThreads(9) { [allocator] index in
      if index == 8 {
        if !eventually({ scrubbing.reclaims >= 8 }) { findings.report("no reclaim was requested") }
        allocator.free(run, zeroed: true)
        scrubbing.end()
        return
      }
      var dirty: [FrameRun] = []
      guard let block = allocator.allocate(order: 0, dirty: &dirty) else {
        findings.report("an allocation failed")
        return
      }
      if !block.isZeroed { findings.report("not zeroed") }
    }
    try #require(done, "threads hang")
    #expect(findings.all == [])
    #expect(allocator.allocate(order: 0, dirty: &dirty) == nil)
  }

  @Test func `an allocation that can have a smaller block waits only for the timeout`() throws {
    let scrubbing = allocator.scrubbing
    #expect(scrubbing.begin())
    let held = try #require(allocator.takeDirty(largestOrder: 17))
    var dirty: [FrameRun] = []
    // The scrubbing thread never frees the block, as if it did not run.
    let block = try #require(allocator.allocateLargest(order: 18, dirty: &dirty))
    #expect(block.run.count == PageCount(1 << 17))
    #expect(scrubbing.reclaims > 0 && !scrubbing.isReclaimRequested)
    allocator.free(held, zeroed: false)
    scrubbing.end()
    allocator.free(block.run, zeroed: false)
    #expect(allocator.allocateLargest(order: 18, dirty: &dirty)?.run.count == PageCount(1 << 18))
  }

  @Test func `an allocation does not reclaim when no frame is being zeroed`() throws {
    var dirty: [FrameRun] = []
    #expect(allocator.scrubbing.begin())
    allocator.scrubbing.end()
    while allocator.allocateLargest(order: 18, dirty: &dirty) != nil {}
    #expect(allocator.allocate(order: 0, dirty: &dirty) == nil)
    #expect(allocator.scrubbing.reclaims == 0)
  }

  @Test func `dirty frames wake a waiting thread, and no wakeup is lost`() throws {
    let rounds = 2000
    let scrubbing = allocator.scrubbing
    let taken = (0..<rounds).map { allocator.allocate(Frame(UInt64($0)))!.run }
    while allocator.takeDirty(largestOrder: 18) != nil {}
    let done = runThreads(2) { [allocator] index in
      if index == 1 {
        for run in taken { allocator.free(run, zeroed: false) }
        return
      }
      var found: UInt64 = 0
      while found < UInt64(rounds) {
        let mark = scrubbing.dirtyFrees
        guard let run = allocator.takeDirty(largestOrder: 18) else {
          scrubbing.waitForDirtyFrames(since: mark) { false }
          continue
        }
        found += run.count.rawValue
      }
    }
    #expect(done, "a wakeup was lost")
  }
}
