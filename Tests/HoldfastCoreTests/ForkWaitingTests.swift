import HoldfastTestKit
import Testing

@testable import HoldfastCore

/// A fork that meets an operation of another address space on the same object.
struct ForkWaitingTests {
  /// Resident pages: nothing but the end of the wire's transition wakes the fork.
  @Test(arguments: WirePath.allCases, [false, true])
  func `a fork sleeps while another address space wires the same object`(
    path: WirePath, isResident: Bool
  ) throws {
    let family = Family(Machine(frames: 256, dirty: true))
    let (machine, other) = (family.machine, family.addSpace())
    let object = MemoryObject(memory: machine.memory, size: PageCount(8))
    family.handles = [object]
    for space in family.spaces { try space.map(object, at: machine.range(0..<8)) }
    let pages: Range<UInt64> = isResident ? 0..<8 : 0..<2
    for page in pages { try family.write(0, page, UInt8(page) + 1) }
    let found = ConcurrentFailures()
    let isWiring = Barrier(2)
    let (space, wiring) = (family.spaces[0], family.spaces[other])
    family.pmaps[other].beforeEntering { [machine] _, address in
      guard address == .zero else { return }
      found.tally()
      isWiring.arrive()
      guard eventually(within: .seconds(10), { object.pagesChanged.waitingThreads == 1 }) else {
        return found.report("the fork does not sleep")
      }
      // It has its address space unlocked meanwhile.
      let isFree = runThreads(1, seconds: 10) { _ in
        let error = failure { try space.map(at: machine.range(100..<101)) }
        if let error { found.report("\(error)") }
      }
      if !isFree { found.report("the fork has the address space locked") }
      if object.pagesChanged.waitingThreads != 1 { found.report("the fork does not wait") }
    }
    let pmap = CheckingPmap(geometry: machine.geometry)
    nonisolated(unsafe) var child: AddressSpace?
    let done = runThreads(2, seconds: 30) { [machine] index in
      if index == 1 { isWiring.arrive() }
      let error = failure {
        if index == 0 {
          try wiring.wire(machine.range(0..<8), path.options)
        } else {
          child = try space.fork(pmap: pmap)
        }
      }
      if let error { found.report("\(error)") }
    }
    try #require(done, "a thread is not woken")
    #expect(found.all == [] && found.operations == 1)
    let index = family.add(try #require(child), pmap)
    #expect(family.problems == [])
    for page in 0..<8 as Range<UInt64> {
      let byte = pages.contains(page) ? UInt8(page) + 1 : 0
      try family.write(other, page, 77)
      #expect(try family.byte(0, page) == 77 && family.byte(index, page) == byte)
    }
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }
}
