import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

/// Frames that a thread is zeroing are called back by an allocation. Run with `--sanitize=thread`
/// too.
@Suite struct FrameLoanWaitingTests {
  /// Returns once `isSo`, or false after a minute.
  private func wait(_ isSo: () -> Bool) -> Bool {
    for _ in 0..<60_000 {
      if isSo() { return true }
      usleep(1000)
    }
    return false
  }

  private let allocator = FrameAllocator(
    geometry: .small, frames: FrameRun(Frame(0), PageCount(1 << 18)), zeroed: false)

  @Test func `an allocation that would fail waits for the frames and gets them whole`() throws {
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
        // The first part came back zeroed, the rest as it was.
        if dirty != [FrameRun(Frame(100), PageCount((1 << 18) - 100))] {
          findings.report("\(dirty)")
        }
        return
      }
      if !self.wait({ scrubbing.isReclaimRequested }) { findings.report("not called back") }
      if scrubbing.begin() { findings.report("a loan begins during a recall") }
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

  @Test func `an allocation of one page waits too, and every waiter gets its frame`() throws {
    let scrubbing = allocator.scrubbing
    #expect(scrubbing.begin())
    var dirty: [FrameRun] = []
    let run = try #require(allocator.takeDirty(largestOrder: 3))
    // Nothing else is left.
    while allocator.takeDirty(largestOrder: 18) != nil {}
    let findings = ConcurrentFailures()
    let done = runThreads(9) { [allocator] index in
      if index == 8 {
        if !self.wait({ scrubbing.reclaims >= 8 }) { findings.report("not called back") }
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

  @Test func `an allocation that could get a smaller block waits only for a limited time`() throws {
    let scrubbing = allocator.scrubbing
    #expect(scrubbing.begin())
    let held = try #require(allocator.takeDirty(largestOrder: 17))
    var dirty: [FrameRun] = []
    // The holder never answers, as if it did not get to run.
    let block = try #require(allocator.allocateLargest(order: 18, dirty: &dirty))
    #expect(block.run.count == PageCount(1 << 17))
    #expect(scrubbing.reclaims > 0 && !scrubbing.isReclaimRequested)
    allocator.free(held, zeroed: false)
    scrubbing.end()
    allocator.free(block.run, zeroed: false)
    #expect(allocator.allocateLargest(order: 18, dirty: &dirty)?.run.count == PageCount(1 << 18))
  }

  @Test func `no allocation calls frames back that are not being zeroed`() throws {
    var dirty: [FrameRun] = []
    #expect(allocator.scrubbing.begin())
    allocator.scrubbing.end()
    while allocator.allocateLargest(order: 18, dirty: &dirty) != nil {}
    #expect(allocator.allocate(order: 0, dirty: &dirty) == nil)
    #expect(allocator.scrubbing.reclaims == 0)
  }

  @Test func `freed dirty frames wake the waiter, and no wakeup is lost`() throws {
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
