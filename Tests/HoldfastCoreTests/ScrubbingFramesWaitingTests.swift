import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

/// Allocations reclaim frames that are being zeroed. Run with `--sanitize=thread` too.
struct ScrubbingFramesWaitingTests {
  private let allocator = FrameAllocator(
    geometry: .small, checked: FrameRun(Frame(0), PageCount(1 << 18)), zeroed: false)

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

  /// A fault that would get a smaller page does not wait for a thread of idle priority.
  @Test(arguments: [FaultGranularity.largePage, .basePage], ["zeros", "copy", "pager"])
  func `a fault does not wait while a base page is free`(
    granularity: FaultGranularity, kind: String
  ) throws {
    let machine = Machine(frames: 2048, dirty: true, faultGranularity: granularity)
    let family = Family(machine)
    let pager = TestPager(pages: 512, geometry: machine.geometry)
    let image = MemoryObject(memory: machine.memory, size: PageCount(512), pager: pager)
    family.handles = [image]
    let range = machine.range(0..<512)
    try family.spaces[0].map(kind == "pager" ? image : nil, at: range)
    if kind == "copy" {
      try family.spaces[0].wire(range)
      try family.spaces[0].unwire(range)
      _ = try family.fork(0)
    }
    let scrubbing = machine.allocator.scrubbing
    #expect(scrubbing.begin())
    var held: [FrameRun] = []
    while let run = machine.allocator.takeDirty(largestOrder: 9) { held.append(run) }
    // Frames of blocks of two are free, and the thread that zeroes does not run.
    let last = held.removeLast()
    machine.allocator.free(FrameRun(last.start, PageCount(2)), zeroed: false)
    machine.allocator.free(FrameRun(last.start + PageCount(8), PageCount(2)), zeroed: false)
    let space = family.spaces[0]
    let done = runThreads(1, seconds: 10) { _ in
      _ = failure { try space.fault(machine.address(100), .write) }
    }
    #expect(scrubbing.reclaims == 0)
    for run in held { machine.allocator.free(run, zeroed: false) }
    let middle = FrameRun(last.start + PageCount(2), PageCount(6))
    let rest = FrameRun(last.start + PageCount(10), PageCount(502))
    for run in [middle, rest] { machine.allocator.free(run, zeroed: false) }
    scrubbing.end()
    try #require(done, "the fault waits")
    #expect(space.residency(in: machine.range(100..<101)).resident == .one)
    #expect(family.problems == [])
    try family.expectNothingLeft()
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
