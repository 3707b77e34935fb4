import Dispatch
import HoldfastCore
import HoldfastTestKit
import Synchronization
import Testing

/// Wired memory of which another address space makes copies: the wiring ends, or its entries are
/// cut and joined, while a copy is under way.
struct WiredCopyTests {
  /// A parent that maps an image copy-on-write and has it wired for reading, and a child that may
  /// write. The parent has copied page 0.
  private func makeFamily(pages: UInt64) throws -> (Family, child: Int, AddressRange) {
    let family = Family(Machine(frames: 1024, dirty: true))
    let machine = family.machine
    let range = machine.range(0..<pages)
    let image = MemoryObject(memory: machine.memory, size: PageCount(pages))
    family.handles = [image]
    let parent = family.addSpace()
    try family.spaces[0].map(image, at: range)
    for page in 1..<pages { try family.write(0, page, UInt8(page)) }
    let space = family.spaces[parent]
    try space.map(image, at: range, copyOnWrite: true)
    try space.fault(machine.address(0), .write)
    try space.protect(range, .read)
    try space.wire(range)
    let child = try family.fork(parent)
    try family.spaces[child].protect(range, .readWrite)
    return (family, child, range)
  }

  @Test(arguments: [false, true])
  func `a wiring ends while another address space copies the page`(removes: Bool) throws {
    let (family, child, range) = try makeFamily(pages: 4)
    let (machine, parent, space) = (family.machine, family.spaces[1], family.spaces[child])
    let found = ConcurrentFailures()
    let isOver = DispatchSemaphore(value: 0)
    machine.store.beforeFilling { [machine] _, _ in
      machine.store.beforeFilling(nil)
      _ = runThreads(1, seconds: 0) { _ in
        let error = failure {
          if removes { try parent.remove(range) } else { try parent.unwire(range) }
        }
        if let error { found.report("\(error)") }
        isOver.signal()
      }
      // The end of the wiring may have to wait for the copy.
      _ = isOver.wait(timeout: .now() + .milliseconds(25))
      isOver.signal()
    }
    // The child's pages are copies already, because the parent's are wired; a fork of the child
    // shares them.
    let grandchild = try family.fork(child)
    try space.fault(machine.address(1), .write)
    try #require(isOver.wait(timeout: .now() + .seconds(10)) == .success)
    #expect(eventually { family.problems == [] })
    #expect(try family.byte(child, 1) == 1 && family.byte(grandchild, 1) == 1)
    #expect(found.all == [])
    try family.expectNothingLeft()
  }

  @Test func `wired entries are cut and joined while another address space copies`() throws {
    for round in 0..<20 {
      let (family, child, _) = try makeFamily(pages: 128)
      let (machine, parent, space) = (family.machine, family.spaces[1], family.spaces[child])
      let sibling = try family.fork(child)
      let found = ConcurrentFailures()
      let isOver = Atomic<Bool>(false)
      let done = runThreads(2, seconds: 30) { number in
        let error = failure {
          if number == 0 {
            for page in 1..<128 as Range<UInt64> { try space.fault(machine.address(page), .write) }
            isOver.store(true, ordering: .releasing)
            return
          }
          while !isOver.load(ordering: .acquiring) {
            for page in [1, 40, 90] as [UInt64] {
              try parent.wire(machine.range(page..<page + 1), [.system])
              try parent.unwire(machine.range(page..<page + 1), [.system])
            }
          }
        }
        if let error { found.report("\(error)") }
      }
      try #require(done, "round \(round)")
      #expect(found.all == [] && family.problems == [], "round \(round)")
      #expect(try family.byte(sibling, 90) == 90)
      try family.expectNothingLeft()
    }
  }

  @Test func `a fork copies wired pages with the address space unlocked`() throws {
    let family = try Family(pages: 0..<64, frames: 512)
    let (machine, space) = (family.machine, family.spaces[0])
    for page in 0..<64 as Range<UInt64> { try family.write(0, page, UInt8(page)) }
    try space.wire(machine.range(0..<32))
    let found = ConcurrentFailures()
    machine.store.beforeFilling { [machine] source, _ in
      machine.store.beforeFilling(nil)
      found.tally()
      let done = runThreads(1, seconds: 10) { _ in
        let error = failure {
          try space.map(at: machine.range(100..<101))
          // The wiring ends, and pages of others become wired, before the child exists.
          try space.unwire(machine.range(0..<8))
          try space.wire(machine.range(40..<44))
        }
        if let error { found.report("\(error)") }
      }
      if !done { found.report("others have to wait") }
    }
    let child = try family.fork(0)
    #expect(found.all == [] && found.operations == 1)
    #expect(family.problems == [])
    // What was unwired is shared.
    #expect(
      family.spaces[child].object(at: .zero)?.residentCount == PageCount(32 - 8 + 4))
    for page in 0..<64 as Range<UInt64> {
      #expect(try family.byte(child, page) == UInt8(page))
      try family.write(0, page, 200)
      #expect(try family.byte(child, page) == UInt8(page))
    }
    try family.expectNothingLeft()
  }
}
