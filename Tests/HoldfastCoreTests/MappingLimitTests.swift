import HoldfastTestKit
import Testing

@testable import HoldfastCore

/// Operations where the pmap may make no further mapping.
struct MappingLimitTests {
  /// Three entries of four wired pages each, whose frames are contiguous: one mapping.
  private func stage(_ limit: MappingLimit) throws -> (Machine, AddressSpace, CheckingPmap) {
    let machine = Machine(frames: 1 << 14)
    let (space, pmap) = machine.makeSpace(mappingLimit: limit)
    for (number, inheritance) in [Inheritance.copy, .share, .none].enumerated() {
      let first = 512 + 4 * UInt64(number)
      try space.map(at: machine.range(first..<first + 4), inheritance: inheritance)
    }
    try space.wire(machine.range(512..<524))
    try space.unwire(machine.range(512..<524))
    return (machine, space, pmap)
  }

  @Test func `mappings are counted as the kernel counts them`() throws {
    let limit = MappingLimit()
    let pmap = CheckingPmap(geometry: .small, mappingLimit: limit)
    func enter(_ frame: UInt64, _ page: UInt64, _ protection: Protection) throws {
      try pmap.enter(
        FrameRun(Frame(frame), PageCount(2)), at: Address(page << 12), protection: protection,
        wired: false, reach: nil)
    }
    var counts: [Int] = []
    // Alone; beside it, contiguous; in other frames; with another access, which is the same to the
    // kernel; read-only.
    for (frame, page, protection) in [
      (10, 100, .readWrite), (12, 102, .readWrite), (20, 104, .readWrite), (22, 106, .all),
      (24, 108, .read),
    ] as [(UInt64, UInt64, Protection)] {
      try enter(frame, page, protection)
      counts.append(limit.count)
    }
    // A hole in the middle of a mapping.
    pmap.remove(AddressRange(from: Address(101 << 12), to: Address(102 << 12)))
    counts.append(limit.count)
    pmap.remove(AddressRange(from: Address(0), to: Address(1 << 30)))
    #expect(counts == [2, 2, 3, 3, 4, 6] && limit.count == 0)
  }

  @Test func `memory of several entries in one mapping is unmapped at the limit`() throws {
    let limit = MappingLimit(2)
    let (machine, space, pmap) = try stage(limit)
    #expect(limit.count == 2)
    let before = machine.snapshot(of: [space])
    let error = failure { try space.remove(machine.range(516..<520)) }
    #expect(error?.code == .resourceShortage && error?.errno == 12)
    #expect(machine.snapshot(of: [space]) == before)
    try space.remove(machine.range(512..<514))
    try space.remove(space.bounds)
    #expect(limit.count == 0 && limit.refusals == 1)
    #expect(pmap.mappings.isEmpty && pmap.violations == [])
    #expect(machine.allocator.occupancy.free == machine.allocator.occupancy.total)
  }

  /// One object in every second entry, all of whose frames are contiguous: to protect one of its
  /// entries takes two mappings.
  @Test func `a fork needs room for all the mappings that it protects`() throws {
    let limit = MappingLimit()
    let machine = Machine(frames: 1 << 14)
    let (space, pmap) = machine.makeSpace(mappingLimit: limit)
    let object = MemoryObject(memory: machine.memory, size: PageCount(16))
    for number in 0..<4 as Range<UInt64> {
      let first = 512 + 8 * number
      try space.map(at: machine.range(first..<first + 4), inheritance: .none)
      try space.map(
        object, offset: PageIndex(4 * number), at: machine.range(first + 4..<first + 8))
    }
    try space.wire(machine.range(512..<544))
    try space.unwire(machine.range(512..<544))
    #expect(limit.count == 2)
    let childPmap = CheckingPmap(geometry: machine.geometry)
    for room in 0..<7 {
      limit.allow(room)
      let error = failure { _ = try space.fork(pmap: childPmap) }
      #expect(error?.code == .resourceShortage && pmap.violations == [])
      #expect(space.entryViews.allSatisfy { $0.protection == .readWrite })
      // A write makes a page writable again, and all pages with it.
      limit.allow(nil)
      for page in 512..<544 as Range<UInt64> { try space.fault(machine.address(page), .write) }
    }
    let child = try space.fork(pmap: childPmap)
    #expect(pmap.violations == [] && limit.count == 9)
    for each in [child, space] { try each.remove(each.bounds) }
    object.release()
    #expect(machine.allocator.occupancy.free == machine.allocator.occupancy.total)
  }

  @Test func `protecting needs room where removing needs none`() throws {
    let limit = MappingLimit(3)
    let (machine, space, pmap) = try stage(limit)
    // The hole before the mapping continues.
    try space.remove(machine.range(512..<513))
    limit.allow(0)
    let before = machine.snapshot(of: [space])
    let error = failure { try space.protect(machine.range(513..<515), .read) }
    #expect(error?.code == .resourceShortage && machine.snapshot(of: [space]) == before)
    try space.remove(machine.range(513..<515))
    limit.allow(1)
    try space.protect(machine.range(515..<518), .read)
    #expect(limit.count == 3 && pmap.violations == [])
    try space.remove(space.bounds)
    #expect(pmap.violations == [])
  }

  /// An object of twelve pages in contiguous frames, mapped once or more, each time in one mapping.
  private func object(_ machine: Machine, _ space: AddressSpace, at pages: [UInt64]) throws
    -> MemoryObject
  {
    let object = MemoryObject(memory: machine.memory, size: PageCount(12))
    for first in pages {
      try space.map(object, at: machine.range(first..<first + 12))
      try space.wire(machine.range(first..<first + 12))
      try space.unwire(machine.range(first..<first + 12))
    }
    return object
  }

  @Test func `a page does not move out of a mapping that cannot be split`() throws {
    let limit = MappingLimit()
    let machine = Machine(frames: 1 << 14)
    let (space, pmap) = machine.makeSpace(mappingLimit: limit)
    let object = try object(machine, space, at: [512])
    let page = PageRange(start: PageIndex(5), count: .one)
    var dirty: [FrameRun] = []
    let from = try #require(object.state(of: page.start)?.frame)
    let block = try #require(machine.memory.allocateLargest(order: 0, dirty: &dirty))
    limit.allow(0)
    #expect(!object.move(page, from: from, to: block.run.start))
    #expect(limit.refusals == 1 && pmap.violations == [])
    limit.allow(nil)
    #expect(object.move(page, from: from, to: block.run.start) && limit.count == 4)
    machine.memory.free(FrameRun(from, .one), zeroed: false)
    try space.remove(space.bounds)
    object.release()
    #expect(pmap.violations == [] && limit.count == 0)
  }

  @Test func `a copy fails where what other mappings have of the page cannot be removed`() throws {
    let limit = MappingLimit()
    let machine = Machine(frames: 1 << 14)
    let (space, pmap) = machine.makeSpace(mappingLimit: limit)
    let object = try object(machine, space, at: [512, 1024])
    let child = try space.fork(pmap: CheckingPmap(geometry: machine.geometry))
    pmap.endOperation()
    limit.allow(1)
    let error = failure { try space.fault(machine.address(517), .write) }
    #expect(error?.code == .resourceShortage && pmap.violations == [])
    limit.allow(nil)
    try space.fault(machine.address(517), .write)
    for each in [space, child] { try each.remove(each.bounds) }
    object.release()
    #expect(pmap.violations == [] && limit.count == 0)
  }

  @Test func `a copy fails where what objects above show of the page cannot be removed`() throws {
    let limit = MappingLimit()
    let machine = Machine(frames: 1 << 14)
    let (space, pmap) = machine.makeSpace()
    let (other, otherPmap) = machine.makeSpace(mappingLimit: limit)
    let object = try object(machine, space, at: [512])
    let child = try space.fork(pmap: CheckingPmap(geometry: machine.geometry))
    try other.map(object, at: machine.range(512..<524), copyOnWrite: true)
    for page in 512..<524 as Range<UInt64> {
      try other.fault(machine.address(page), page == 512 ? .write : .read)
    }
    otherPmap.endOperation()
    limit.allow(1)
    let error = failure { try space.fault(machine.address(517), .write) }
    #expect(error?.code == .resourceShortage && limit.refusals == 1 && otherPmap.violations == [])
    limit.allow(nil)
    try space.fault(machine.address(517), .write)
    #expect(otherPmap.mapping(at: machine.address(517)) == nil)
    for each in [space, child, other] { try each.remove(each.bounds) }
    object.release()
    #expect(pmap.violations + otherPmap.violations == [] && limit.count == 0)
  }

  @Test func `reading what a pager has needs no mapping`() throws {
    let limit = MappingLimit(0)
    let machine = Machine(frames: 64)
    let (space, pmap) = machine.makeSpace(mappingLimit: limit)
    let pager = TestPager(pages: 8, geometry: .small)
    let image = MemoryObject(memory: machine.memory, size: PageCount(8), pager: pager)
    try space.map(image, at: machine.range(0..<8))
    #expect(try space.read(machine.address(3), count: 1) == [4])
    #expect(pmap.mappings.isEmpty && limit.refusals == 0)
    #expect(failure { try space.fault(machine.address(3), .read) }?.code == .resourceShortage)
    try space.remove(space.bounds)
    image.release()
  }
}
