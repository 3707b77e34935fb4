import HoldfastCore
import HoldfastTestKit
import Testing

/// Whole superpages from fragments; contents and wired pages stay as they are.
struct CompactionTests {
  private static let superpage: UInt64 = 512

  @Test func `pages move with their contents, wired ones stay, and superpages become free`() throws
  {
    let family = try Family(pages: 0..<4 * Self.superpage, frames: 8 * Self.superpage)
    let machine = family.machine
    let space = family.spaces[0]
    // Every third page alone; some are copies of a child, and two are wired.
    for page in stride(from: UInt64(0), to: 4 * Self.superpage, by: 3) {
      try family.write(0, page, UInt8(page % 251))
    }
    let child = try family.fork(0)
    for page in stride(from: UInt64(0), to: 4 * Self.superpage, by: 6) {
      try family.write(child, page, UInt8(page % 241))
    }
    for page in [30, 1203] as [UInt64] { try space.wire(machine.range(page..<page + 1)) }
    let wired = try [30, 1203].map { page in
      try #require(family.pmaps[0].mapping(at: machine.address(page))).frames.start
    }
    machine.memory.reservations.breakAll()
    let before = machine.freeSuperpages()

    let summary = machine.memory.compact()
    #expect(summary.superpages > 0 && summary.moved > .zero)
    #expect(machine.freeSuperpages() == before + summary.superpages)
    #expect(family.problems == [])
    for (page, frame) in zip([30, 1203] as [UInt64], wired) {
      #expect(family.pmaps[0].mapping(at: machine.address(page))?.frames.start == frame)
    }
    for page in 0..<4 * Self.superpage {
      #expect(try family.byte(0, page) == (page % 3 == 0 ? UInt8(page % 251) : 0))
      let own = page % 6 == 0 ? UInt8(page % 241) : page % 3 == 0 ? UInt8(page % 251) : 0
      #expect(try family.byte(child, page) == own)
    }
    try family.write(child, 3, 77)
    #expect(try family.byte(0, 3) == 3)
    #expect(family.problems == [])
    // Nothing is left to do.
    machine.memory.reservations.breakAll()
    #expect(machine.memory.compact().superpages == 0)
    try family.expectNothingLeft()
  }

  @Test func `a page that moves while a wire copies it leaves no translation behind`() throws {
    let machine = Machine(frames: 8 * Self.superpage, dirty: true)
    let family = Family(machine)
    let object = MemoryObject(memory: machine.memory, size: PageCount(1024))
    family.handles = [object]
    let range = machine.range(0..<20)
    try family.spaces[0].map(object, at: machine.range(0..<1024))
    for page in 0..<20 as Range<UInt64> { try family.write(0, page, UInt8(page + 1)) }
    // Something to move to.
    let other = family.addSpace()
    try family.spaces[other].map(at: machine.range(0..<512))
    for page in 0..<100 as Range<UInt64> { try family.write(other, page * 3, 9) }
    // A shadow in two spaces, the second of which has a translation of the page below.
    let first = family.addSpace()
    try family.spaces[first].map(object, at: range, inheritance: .share, copyOnWrite: true)
    let second = try family.fork(first)
    let address = machine.address(3)
    try family.spaces[second].fault(address, .read)
    let old = try #require(family.pmaps[second].mapping(at: address)).frames
    let moved = ConcurrentFailures()
    let (memory, pmap) = (machine.memory, family.pmaps[second])
    family.pmaps[first].beforeEntering { _, place in
      guard place == machine.address(10) else { return }
      if memory.compact().moved > .zero { moved.tally() }
      if let mapping = pmap.mapping(at: address) { moved.report("\(mapping) is left") }
    }
    try family.spaces[first].wire(range, .faultPath)
    family.pmaps[first].beforeEntering(nil)
    #expect(moved.operations == 1 && moved.all == [])
    #expect(object.state(of: PageIndex(3))?.frame != old.start)
    #expect(family.problems == [])
    for page in 0..<20 as Range<UInt64> {
      #expect(try family.byte(first, page) == UInt8(page + 1))
      #expect(try family.byte(second, page) == UInt8(page + 1))
    }
    try family.expectNothingLeft()
  }

  @Test func `compaction moves no more than it has to`() throws {
    let stage = Stage(pages: 8 * Self.superpage, frames: 16 * Self.superpage)
    try stage.map(0..<8 * Self.superpage)
    for region in 0..<UInt64(8) {
      for page in 0..<(region + 1) * 10 {
        try stage.space.fault(
          stage.machine.address(region * Self.superpage + page * 2), .write)
      }
    }
    let summary = stage.machine.memory.compact(superpages: 2)
    // The two with the fewest pages.
    #expect(summary.superpages == 2 && summary.moved == PageCount(10 + 20))
    try stage.expectNothingLeft()
  }

  @Test func `a pmap that cannot split keeps its pages where they are`() throws {
    let stage = Stage(pages: 2 * Self.superpage, frames: 8 * Self.superpage)
    try stage.map(0..<2 * Self.superpage)
    try stage.space.wire(stage.machine.range(0..<2 * Self.superpage), .prefault)
    try stage.space.unwire(stage.machine.range(0..<2 * Self.superpage))
    // One page is removed, so that the object has no superpage there but the pmap still has one.
    stage.pmap.allowSplits(false)
    #expect(failure { try stage.space.remove(stage.machine.range(5..<6)) } != nil)
    #expect(stage.machine.memory.compact().moved == .zero)
    #expect(stage.problems == [])
    stage.pmap.allowSplits(true)
    try stage.expectNothingLeft()
  }
}
