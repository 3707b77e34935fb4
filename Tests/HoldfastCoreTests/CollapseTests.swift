import HoldfastCore
import HoldfastTestKit
import Synchronization
import Testing

/// Behaviour 21: what a collapse does, and what it must leave unchanged.
struct CollapseTests {
  /// The number of objects in an address's chain.
  private func depth(_ family: Family, _ index: Int, _ page: UInt64 = 0) -> Int? {
    family.spaces[index].object(at: family.machine.address(page))?.chain.count
  }

  @Test func `an object that only its shadow refers to is collapsed`() throws {
    let family = try Family(pages: 0..<10, frames: 128)
    for page in 0..<10 as Range<UInt64> { try family.write(0, page, 1) }
    let child = try family.fork(0)
    for page in 0..<4 as Range<UInt64> { try family.write(0, page, 2) }
    try family.write(child, 8, 3)
    #expect(depth(family, 0) == 2 && depth(family, child) == 2)
    let frames = family.pmaps[child].mappings.map(\.frames)
    try family.end(0)
    #expect(depth(family, child) == 1)
    // The same frames: nothing was copied, and the frames that only the parent had are free.
    #expect(family.machine.allocator.occupancy.free == PageCount(128 - 10))
    #expect(family.pmaps[child].mappings.map(\.frames) == frames)
    for page in 0..<10 as Range<UInt64> {
      #expect(try family.byte(child, page) == (page == 8 ? 3 : 1))
    }
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `a fully shadowed object is bypassed`() throws {
    let family = try Family(pages: 0..<10, frames: 128)
    for page in 0..<6 as Range<UInt64> { try family.write(0, page, 1) }
    let child = try family.fork(0)
    for page in 0..<10 as Range<UInt64> { try family.write(0, page, 2) }
    #expect(depth(family, 0) == 1)
    #expect(try family.byte(child, 5) == 1)
    // The child is alone with the old object now and writes in place.
    let free = family.machine.allocator.occupancy.free
    try family.write(child, 5, 4)
    #expect(family.machine.allocator.occupancy.free == free && depth(family, child) == 1)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `chains do not grow with the number of forks`() throws {
    let family = try Family(pages: 0..<10, frames: 256)
    for round in 1...40 as ClosedRange<UInt8> {
      try family.write(0, UInt64(round) % 10, round)
      let child = try family.fork(0)
      try family.write(0, UInt64(round + 3) % 10, round)
      try family.end(child)
      #expect(depth(family, 0)! <= 2)
      #expect(family.problems == [])
    }
    try family.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases)
  func `a collapse during a wire waits for its busy pages and loses none`(path: WirePath) throws {
    let family = try Family(pages: 0..<10, frames: 128)
    for page in 0..<5 as Range<UInt64> { try family.write(0, page, 1) }
    let child = try family.fork(0)
    try family.write(0, 0, 2)
    let machine = family.machine
    let object = try #require(family.spaces[0].object(at: .zero))
    let barrier = Barrier(2)
    let (space, other) = (family.spaces[0], family.spaces[child])
    let found = ConcurrentFailures()
    family.pmaps[0].beforeEntering { _, address in
      guard address == machine.address(4) else { return }
      barrier.arrive()
      // The pages wired so far are busy and invalid: collapse must not have taken them.
      object.forEachResident(in: PageRange(start: .zero, count: object.size)) { range, state in
        if !state.isValid && !state.isBusy { found.report("\(range) is an invalid page: \(state)") }
      }
    }
    let done = runThreads(2, seconds: 20) { thread in
      if thread == 0 {
        if let error = failure({ try space.wire(machine.range(0..<10), path.options) }) {
          found.report("\(error)")
        }
      } else {
        barrier.arrive()
        // The object below becomes the shadow's alone; this may not wait, the next may.
        if let error = failure({ try other.remove(machine.range(0..<10)) }) {
          found.report("\(error)")
        }
        object.collapse(waits: true)
        if object.chain.count > 1 { found.report("the collapse does not wait") }
      }
    }
    try #require(done, "a thread waits for ever")
    family.pmaps[0].beforeEntering(nil)
    #expect(found.all == [])
    #expect(depth(family, 0) == 1)
    #expect(machine.allocator.occupancy.free == PageCount(128 - 10))
    for page in 0..<10 as Range<UInt64> {
      #expect(try family.byte(0, page) == (page == 0 ? 2 : page < 5 ? 1 : 0))
    }
    #expect(family.problems == [])
    try family.spaces[0].unwire(machine.range(0..<10))
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `a collapse frees the unmapped part of an object`() throws {
    let family = try Family(pages: 0..<20, frames: 128)
    for page in 0..<20 as Range<UInt64> { try family.write(0, page, 1) }
    let child = try family.fork(0)
    try family.spaces[0].remove(family.machine.range(0..<5))
    try family.spaces[0].remove(family.machine.range(12..<20))
    try family.write(0, 7, 2)
    let (other, range) = (family.spaces[child], family.machine.range(0..<20))
    let done = runThreads(1, seconds: 10) { _ in
      #expect(failure { try other.remove(range) } == nil)
    }
    try #require(done, "the collapse does not end")
    try family.end(child)
    #expect(family.machine.allocator.occupancy.free == PageCount(128 - 7))
    #expect(try family.byte(0, 7) == 2 && family.byte(0, 11) == 1)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test(arguments: [false, true], [0, 1, 7])
  func `a wire that fails during a collapse or a bypass loses nothing`(
    ends: Bool, call: Int
  ) throws {
    for path in WirePath.allCases { try failAmidCollapse(path, ends: ends, call) }
  }

  private func failAmidCollapse(_ path: WirePath, ends: Bool, _ call: Int) throws {
    let family = try Family(pages: 0..<8, frames: 128)
    for page in 0..<8 as Range<UInt64> { try family.write(0, page, 9) }
    let child = try family.fork(0)
    try family.write(0, 0, 2)
    let object = try #require(family.spaces[0].object(at: .zero))
    let (space, pmap, other) = (family.spaces[0], family.pmaps[0], family.spaces[child])
    let machine = family.machine
    let found = ConcurrentFailures()
    // While page after page is copied: the object below becomes the shadow's alone, or stays
    // shared.
    machine.store.beforeFilling { source, _ in
      if source == nil { return }
      found.tally()
      if ends, failure({ try other.remove(machine.range(0..<8)) }) != nil {
        found.report("the child does not end")
      }
      object.collapse(waits: false)
    }
    pmap.beforeEntering { _, _ in object.collapse(waits: false) }
    let before = pmap.calls
    pmap.fail(at: call)
    let done = runThreads(1, seconds: 20) { _ in
      let error = failure { try space.wire(machine.range(0..<8), path.options) }
      // By runs, the wire may be over before that call.
      let expected: HoldfastError.Code? = pmap.calls - before > call ? .resourceShortage : nil
      if error?.code != expected { found.report("\(String(describing: error))") }
    }
    try #require(done, "it waits for ever")
    machine.store.beforeFilling(nil)
    pmap.beforeEntering(nil)
    pmap.fail(at: nil)
    #expect(found.all == [] && (call == 0 || found.operations > 0))
    for page in 0..<8 as Range<UInt64> {
      #expect(try family.byte(0, page) == (page == 0 ? 2 : 9))
      if !ends { #expect(try family.byte(child, page) == 9) }
    }
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `a busy page keeps its object, and the end of its copy shortens the chain`() throws {
    let family = try Family(pages: 0..<8, frames: 128)
    for page in [5, 6] as [UInt64] { try family.write(0, page, UInt8(page)) }
    let child = try family.fork(0)
    let machine = family.machine
    let depths = Atomic<Int>(0)
    let (parent, ended) = (family.spaces[0], family.spaces[child])
    machine.store.beforeFilling { [machine] _, _ in
      machine.store.beforeFilling(nil)
      // The page that is being copied is one of an object that then is its shadow's alone.
      try? ended.remove(machine.range(0..<8))
      let chain = parent.object(at: machine.address(5))?.chain
      depths.store(chain?.count ?? 0, ordering: .relaxed)
    }
    try family.write(0, 5, 9)
    #expect(depths.load(ordering: .relaxed) == 2)
    #expect(depth(family, 0) == 1)
    #expect(try family.byte(0, 5) == 9 && family.byte(0, 6) == 6)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases)
  func `a wire that copies every page releases the object below`(path: WirePath) throws {
    let family = try Family(pages: 0..<8, frames: 128)
    for page in 0..<8 as Range<UInt64> { try family.write(0, page, 9) }
    let child = try family.fork(0)
    try family.spaces[child].wire(family.machine.range(0..<8), path.options)
    #expect(depth(family, child) == 1)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases)
  func `a thread that holds a space's lock does not wait for a wire of that space`(path: WirePath)
    throws
  {
    let family = Family(Machine(frames: 128, dirty: true))
    let machine = family.machine
    let space = family.spaces[0]
    let object = MemoryObject(memory: machine.memory, size: PageCount(8))
    try space.map(object, at: machine.range(0..<8))
    try space.map(object, at: machine.range(100..<108), copyOnWrite: true)
    object.release()
    try family.write(0, 3, 5)
    try family.write(0, 100, 6)
    let found = ConcurrentFailures()
    family.pmaps[0].beforeEntering { [machine] run, address in
      let end = address + machine.geometry.bytes(run.count)
      guard AddressRange(from: address, to: end).contains(machine.address(105)) else { return }
      found.tally()
      // With it the object below is the shadow's alone, which has busy pages.
      let isDone = runThreads(1, seconds: 10) { _ in
        if let error = failure({ try space.remove(machine.range(0..<8)) }) {
          found.report("\(error)")
        }
      }
      if !isDone { found.report("unmapping waits for the wiring") }
    }
    let done = runThreads(1, seconds: 20) { _ in
      let error = failure { try space.wire(machine.range(100..<108), path.options) }
      if let error { found.report("\(error)") }
    }
    try #require(done, "they wait for each other")
    #expect(found.all == [] && found.operations == 1)
    #expect(try family.byte(0, 103) == 5 && family.byte(0, 100) == 6)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }
}
