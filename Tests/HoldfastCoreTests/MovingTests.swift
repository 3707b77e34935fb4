import Dispatch
import HoldfastTestKit
import Synchronization
import Testing

@testable import HoldfastCore

/// Pages that move to other frames, or become copies, while their mappings change: no translation
/// of the old frames may be left. Where a thread has to wait for a lock, the test gives it some time
/// to get there; if that is too short a test may miss an error, but correct code never fails.
struct MovingTests {
  private let family = Family(Machine(frames: 256, dirty: true))
  private let object: MemoryObject
  private var machine: Machine { family.machine }

  /// An object of 8 pages, which an address space has written.
  init() throws {
    object = MemoryObject(memory: family.machine.memory, size: PageCount(8))
    family.handles = [object]
    try family.spaces[0].map(object, at: machine.range(0..<8))
    for page in 0..<8 as Range<UInt64> { try family.write(0, page, UInt8(page) + 1) }
  }

  private func frame() throws -> Frame {
    var dirty: [FrameRun] = []
    return try #require(machine.allocator.allocate(order: 0, dirty: &dirty)).run.start
  }

  @Test func `a page that moves while it is unmapped leaves no translation behind`() throws {
    let (old, new) = (try #require(object.state(of: PageIndex(3))).frame, try frame())
    let (object, address, pmap) = (object, machine.address(3), family.pmaps[0])
    let page = PageRange(start: PageIndex(3), count: .one)
    let found = ConcurrentFailures()
    let isOver = DispatchSemaphore(value: 0)
    pmap.beforeRemoving { _ in
      pmap.beforeRemoving(nil)
      _ = runThreads(1, seconds: 0) { _ in
        if object.move(page, from: old, to: new) {
          found.tally()
          // The old frame may be another guest's from now on.
          if let left = pmap.mapping(at: address) { found.report("\(left) is left") }
        }
        isOver.signal()
      }
      if isOver.wait(timeout: .now() + .milliseconds(25)) == .success { isOver.signal() }
    }
    try family.spaces[0].remove(machine.range(0..<8))
    try #require(isOver.wait(timeout: .now() + .seconds(10)) == .success)
    #expect(found.all == [] && found.operations == 1)
    machine.allocator.free(FrameRun(old, .one), zeroed: false)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  /// The fork puts a new object between the page's object and one above it that the walk over the
  /// mappings has yet to reach.
  @Test func `a page that moves while a chain above it changes leaves no translation behind`()
    throws
  {
    let readers = [family.addSpace(), family.addSpace()]
    let (machine, address) = (machine, machine.address(3))
    for reader in readers {
      try family.spaces[reader].map(object, at: machine.range(0..<8), copyOnWrite: true)
      // A page of its own, which the fork shares, and a translation of one below.
      try family.write(reader, 0, 50)
      try family.spaces[reader].fault(address, .read)
    }
    let found = ConcurrentFailures()
    let isForked = Atomic<Bool>(false)
    let pmap = CheckingPmap(geometry: machine.geometry)
    nonisolated(unsafe) var child: AddressSpace?
    for (reader, other) in zip(readers, readers.reversed()) {
      let space = family.spaces[other]
      family.pmaps[reader].beforeRemoving { _ in
        guard !isForked.exchange(true, ordering: .relaxed) else { return }
        let done = runThreads(1, seconds: 10) { _ in
          let error = failure { child = try space.fork(pmap: pmap) }
          if let error { found.report("\(error)") }
        }
        if !done { found.report("the fork waits") }
      }
    }
    let (old, new) = (try #require(object.state(of: PageIndex(3))).frame, try frame())
    let page = PageRange(start: PageIndex(3), count: .one)
    #expect(object.move(page, from: old, to: new))
    for reader in readers {
      family.pmaps[reader].beforeRemoving(nil)
      #expect(family.pmaps[reader].mapping(at: address) == nil)
    }
    machine.allocator.free(FrameRun(old, .one), zeroed: false)
    #expect(found.all == [])
    let index = family.add(try #require(child), pmap)
    for space in readers + [index] {
      #expect(try family.byte(space, 3) == 4 && family.byte(space, 0) == 50)
    }
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  /// A wire that fails later does not enter the page again.
  @Test func `a copy removes what a mapping that is being wired has of the page below`() throws {
    let range = machine.range(0..<8)
    let writer = family.addSpace()
    try family.spaces[writer].map(object, at: range, inheritance: .share, copyOnWrite: true)
    // Both have the same object above.
    let wiring = try family.fork(writer)
    let (machine, address, pmap) = (machine, machine.address(3), family.pmaps[wiring])
    try family.spaces[wiring].fault(address, .read)
    #expect(pmap.mapping(at: address) != nil)
    let space = family.spaces[writer]
    let found = ConcurrentFailures()
    pmap.beforeEntering { _, place in
      guard place == .zero else { return }
      found.tally()
      let done = runThreads(1, seconds: 10) { _ in
        if let error = failure({ try space.fault(address, .write) }) { found.report("\(error)") }
      }
      if !done { found.report("the copy waits") }
      if let left = pmap.mapping(at: address) { found.report("\(left) is left") }
      pmap.fail(at: 0)
    }
    let error = failure { try family.spaces[wiring].wire(machine.range(0..<8), .faultPath) }
    #expect(error?.code == .resourceShortage)
    pmap.beforeEntering(nil)
    #expect(found.all == [] && found.operations == 1)
    #expect(family.problems == [])
    try family.write(writer, 3, 99)
    #expect(try family.byte(wiring, 3) == 99 && family.byte(0, 3) == 4)
    try family.expectNothingLeft()
  }

  @Test func `a page that is wired or held after compaction found it does not move`() throws {
    let (old, new) = (try #require(object.state(of: PageIndex(3))).frame, try frame())
    let page = PageRange(start: PageIndex(3), count: .one)
    let held = try family.spaces[0].hold(machine.range(3..<4), for: .read)
    #expect(!object.move(page, from: old, to: new))
    held.release()
    try family.spaces[0].wire(machine.range(3..<4))
    #expect(!object.move(page, from: old, to: new))
    #expect(object.state(of: PageIndex(3))?.frame == old)
    machine.allocator.free(FrameRun(new, .one), zeroed: false)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }
}
