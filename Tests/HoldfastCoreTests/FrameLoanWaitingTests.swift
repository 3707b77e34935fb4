import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

/// Frames that somebody has to zero are had back by whoever needs them. Run with `--sanitize=thread`
/// too.
@Suite struct FrameLoanWaitingTests {
  private let allocator = FrameAllocator(
    geometry: .small, frames: FrameRun(Frame(0), PageCount(1 << 18)), zeroed: false)

  @Test func `an allocation that would fail waits for the frames, and gets them whole`() throws {
    let loans = allocator.loans
    #expect(loans.begin())
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
      if !eventually({ loans.isCalledBack }) { findings.report("not called back") }
      if loans.begin() { findings.report("a loan begins during a recall") }
      allocator.free(FrameRun(run.start, PageCount(100)), zeroed: true)
      allocator.free(
        FrameRun(run.start + PageCount(100), run.count - PageCount(100)), zeroed: false)
      loans.end()
    }
    try #require(done, "threads hang")
    #expect(findings.all == [])
    #expect(!loans.isCalledBack && loans.callbacks == 1)
    #expect(loans.begin())
    loans.end()
  }

  @Test func `a page is waited for too, and all who wait get theirs`() throws {
    let loans = allocator.loans
    #expect(loans.begin())
    var dirty: [FrameRun] = []
    let run = try #require(allocator.takeDirty(largestOrder: 3))
    // Nothing else is left.
    while allocator.takeDirty(largestOrder: 18) != nil {}
    let findings = ConcurrentFailures()
    let done = runThreads(9) { [allocator] index in
      if index == 8 {
        if !eventually({ loans.callbacks >= 8 }) { findings.report("not called back") }
        allocator.free(run, zeroed: true)
        loans.end()
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

  @Test func `who could have a smaller block does not wait for ever`() throws {
    let loans = allocator.loans
    #expect(loans.begin())
    let held = try #require(allocator.takeDirty(largestOrder: 17))
    var dirty: [FrameRun] = []
    // The holder never answers, as if it did not get to run.
    let block = try #require(allocator.allocateLargest(order: 18, dirty: &dirty))
    #expect(block.run.count == PageCount(1 << 17))
    #expect(loans.callbacks > 0 && !loans.isCalledBack)
    allocator.free(held, zeroed: false)
    loans.end()
    allocator.free(block.run, zeroed: false)
    #expect(allocator.allocateLargest(order: 18, dirty: &dirty)?.run.count == PageCount(1 << 18))
  }

  @Test func `nobody calls back for what is not lent`() throws {
    var dirty: [FrameRun] = []
    #expect(allocator.loans.begin())
    allocator.loans.end()
    while allocator.allocateLargest(order: 18, dirty: &dirty) != nil {}
    #expect(allocator.allocate(order: 0, dirty: &dirty) == nil)
    #expect(allocator.loans.callbacks == 0)
  }

  @Test func `dirt wakes, and none is missed`() throws {
    let rounds = 2000
    let loans = allocator.loans
    let taken = (0..<rounds).map { allocator.allocate(Frame(UInt64($0)))!.run }
    while allocator.takeDirty(largestOrder: 18) != nil {}
    let done = runThreads(2) { [allocator] index in
      if index == 1 {
        for run in taken { allocator.free(run, zeroed: false) }
        return
      }
      var found: UInt64 = 0
      while found < UInt64(rounds) {
        let mark = loans.dirt
        guard let run = allocator.takeDirty(largestOrder: 18) else {
          loans.waitForDirt(after: mark) { false }
          continue
        }
        found += run.count.rawValue
      }
    }
    #expect(done, "a wakeup was lost")
  }
}
