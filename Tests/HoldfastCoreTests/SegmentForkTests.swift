import HoldfastCore
import HoldfastTestKit
import Testing

/// An object that is mapped several times, in one address space and in others, before and after
/// forks: it remains one piece of memory for the parent, and is another for the child.
struct SegmentForkTests {
  private func makeFamily(
    pages: UInt64 = 16, frames: UInt64 = 512, pager: TestPager? = nil
  ) throws -> (Family, MemoryObject) {
    let family = Family(Machine(frames: frames, dirty: true))
    let size = PageCount(pages)
    let segment =
      pager.map { MemoryObject(memory: family.machine.memory, size: size, pager: $0) }
      ?? MemoryObject(memory: family.machine.memory, size: size)
    family.handles = [segment]
    return (family, segment)
  }

  @Test(arguments: [false, true])
  func `aliases are the same memory after a fork, in the parent and in the child`(
    paged: Bool
  ) throws {
    let pager = paged ? TestPager(pages: 16, geometry: .small) : nil
    let (family, segment) = try makeFamily(pager: pager)
    let machine = family.machine
    try family.spaces[0].map(segment, at: machine.range(0..<16))
    try family.spaces[0].map(segment, offset: PageIndex(4), at: machine.range(100..<108))
    try family.write(0, 5, 1)
    let child = try family.fork(0)
    try family.write(0, 101, 2)
    #expect(try family.byte(0, 5) == 2 && family.byte(child, 5) == 1)
    try family.write(child, 5, 3)
    #expect(try family.byte(child, 101) == 3 && family.byte(0, 101) == 2)
    // A page that neither side had.
    try family.write(child, 106, 4)
    #expect(try family.byte(child, 10) == 4)
    #expect(try family.byte(0, 10) == (paged ? 11 : 0) && family.byte(0, 106) == family.byte(0, 10))
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `a segment that is mapped again after a fork has what was written since`() throws {
    let (family, segment) = try makeFamily()
    let machine = family.machine
    try family.spaces[0].map(segment, at: machine.range(0..<16))
    for page in 0..<16 as Range<UInt64> { try family.write(0, page, 1) }
    let child = try family.fork(0)
    try family.write(0, 3, 2)
    try family.spaces[0].remove(machine.range(0..<16))
    let other = family.addSpace()
    try family.spaces[other].map(segment, at: machine.range(200..<216))
    try family.spaces[0].map(segment, at: machine.range(50..<66))
    #expect(try family.byte(0, 53) == 2 && family.byte(other, 203) == 2)
    try family.write(other, 204, 7)
    #expect(try family.byte(0, 54) == 7)
    #expect(try family.byte(child, 3) == 1 && family.byte(child, 4) == 1)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `a mapping that copies on write has no translation of a page below a newer one`()
    throws
  {
    let (family, segment) = try makeFamily()
    let machine = family.machine
    let reader = family.addSpace()
    try family.spaces[0].map(segment, at: machine.range(0..<16))
    for page in 0..<16 as Range<UInt64> { try family.write(0, page, 1) }
    try family.spaces[reader].map(segment, at: machine.range(0..<16), copyOnWrite: true)
    try family.write(reader, 0, 9)
    _ = try family.byte(reader, 1)
    let child = try family.fork(0)
    for page in 1..<16 as Range<UInt64> {
      try family.spaces[reader].fault(machine.address(page), .read)
    }
    // The copies lie above the pages that the reader has translations of. When the child has gone,
    // the pages below are freed.
    for page in 1..<8 as Range<UInt64> { try family.write(0, page, 2) }
    try family.spaces[0].wire(machine.range(8..<12))
    #expect(family.problems == [])
    try family.end(child)
    for page in 1..<8 as Range<UInt64> { #expect(try family.byte(reader, page) == 2) }
    #expect(try family.byte(reader, 0) == 9 && family.byte(reader, 9) == 1)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test(arguments: [false, true])
  func `forks that have ended leave no frame in use`(paged: Bool) throws {
    let pager = paged ? TestPager(pages: 64, geometry: .small) : nil
    let (family, segment) = try makeFamily(pages: 64, frames: 192, pager: pager)
    let machine = family.machine
    let space = family.spaces[0]
    try space.map(segment, at: machine.range(0..<64))
    try space.map(segment, offset: PageIndex(32), at: machine.range(100..<132))
    func rewrite(_ byte: UInt8) throws {
      for page in 0..<64 as Range<UInt64> { try space.write([byte], at: machine.address(page)) }
    }
    try rewrite(1)
    let free = machine.allocator.occupancy.free
    for round in 0..<1000 {
      do {
        let child = try space.fork(pmap: CheckingPmap(geometry: machine.geometry))
        if round % 3 == 1 { try rewrite(2) }
        if round % 3 == 2 { try child.write([3], at: machine.address(7)) }
        try child.remove(child.bounds)
      }
      try rewrite(UInt8(round % 200))
      try #require(machine.allocator.occupancy.free == free, "round \(round)")
    }
    #expect(space.object(at: .zero)?.chain.count == 1)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `a part that is unmapped after a fork is freed with the child`() throws {
    let family = try Family(pages: 0..<64, frames: 256)
    let machine = family.machine
    for page in 0..<64 as Range<UInt64> { try family.write(0, page, 1) }
    let free = machine.allocator.occupancy.free
    let child = try family.fork(0)
    try family.spaces[0].remove(machine.range(16..<48))
    #expect(machine.allocator.occupancy.free == free)
    try family.end(child)
    #expect(machine.allocator.occupancy.free == free + PageCount(32))
    #expect(try family.byte(0, 50) == 1 && family.problems == [])
    try family.expectNothingLeft()
  }
}
