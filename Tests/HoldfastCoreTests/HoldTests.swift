import HoldfastCore
import HoldfastTestKit
import Testing

/// Held pages: their frames stay theirs, whatever happens to the mappings.
struct HoldTests {
  private func frame(_ family: Family, _ index: Int, _ page: UInt64) -> Frame? {
    family.pmaps[index].mapping(at: family.machine.address(page)).map {
      $0.frames.start
        + family.machine.geometry.pages(in: family.machine.address(page) - $0.address)
    }
  }

  @Test func `compaction moves other pages and leaves held ones`() throws {
    let family = try Family(pages: 0..<2048, frames: 4096)
    let (machine, space) = (family.machine, family.spaces[0])
    for page in stride(from: UInt64(0), to: 2048, by: 64) { try family.write(0, page, 7) }
    let before = frame(family, 0, 64)
    let held = try space.hold(machine.range(64..<65), for: .write)
    for _ in 0..<3 { machine.memory.compact() }
    #expect(frame(family, 0, 64) == before && family.problems == [])
    held.release()
    held.release()
    #expect(family.problems == [])
    for page in stride(from: UInt64(0), to: 2048, by: 64) { #expect(try family.byte(0, page) == 7) }
    try family.expectNothingLeft()
  }

  @Test func `a fork copies held pages, and the parent keeps them`() throws {
    let family = try Family(pages: 0..<16, frames: 256)
    for page in 0..<16 as Range<UInt64> { try family.write(0, page, UInt8(page)) }
    let held = try family.spaces[0].hold(family.machine.range(4..<8), for: .write)
    let before = frame(family, 0, 5)
    let child = try family.fork(0)
    // The device writes by its own reference.
    if let before { family.machine.store.soil(FrameRun(before, .one), with: 99) }
    #expect(try family.byte(child, 5) == 5 && family.byte(0, 5) == 99)
    try family.write(0, 5, 98)
    #expect(frame(family, 0, 5) == before && family.problems == [])
    held.release()
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test(arguments: [false, true])
  func `held pages that are unmapped are freed when the hold ends`(anonymous: Bool) throws {
    let family = Family(Machine(frames: 128, dirty: true))
    let (machine, space) = (family.machine, family.spaces[0])
    let total = machine.allocator.occupancy.free
    if anonymous {
      try space.map(at: machine.range(0..<16))
    } else {
      let object = MemoryObject(memory: machine.memory, size: PageCount(16))
      try space.map(object, at: machine.range(0..<16))
      object.release()
    }
    for page in 0..<16 as Range<UInt64> { try family.write(0, page, 1) }
    let held = try space.hold(machine.range(4..<8), for: .read)
    let twice = try space.hold(machine.range(6..<10), for: .write)
    try space.remove(machine.range(4..<16))
    #expect(family.problems == [])
    let free = machine.allocator.occupancy.free
    if anonymous { #expect(free == total - PageCount(4 + 6)) }
    // No other guest gets the frames.
    let other = family.addSpace()
    try family.spaces[other].map(at: machine.range(0..<free.rawValue))
    try family.spaces[other].wire(machine.range(0..<free.rawValue))
    #expect(machine.allocator.occupancy.free == .zero && family.problems == [])
    held.release()
    #expect(machine.allocator.occupancy.free == (anonymous ? PageCount(2) : .zero))
    twice.release()
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `a hold for reading copies what is shared, and pages in what is not there`() throws {
    let family = try Family(pages: 0..<8, frames: 256)
    let (machine, pager) = (family.machine, TestPager(pages: 8, geometry: .small))
    let image = MemoryObject(memory: machine.memory, size: PageCount(8), pager: pager)
    family.handles = [image]
    try family.spaces[0].map(image, at: machine.range(8..<16), copyOnWrite: true)
    for page in 0..<4 as Range<UInt64> { try family.write(0, page, 9) }
    let child = try family.fork(0)
    let space = family.spaces[child]
    try space.protect(machine.range(0..<16), .read)
    #expect(
      failure { _ = try space.hold(machine.range(0..<16), for: .write) }?.code
        == .protectionFailure)
    let held = try space.hold(machine.range(0..<16), for: .read)
    #expect(family.problems == [])
    try family.write(0, 2, 10)
    for (page, byte) in [(2, 9), (6, 0), (8, 1), (15, 8)] as [(UInt64, UInt8)] {
      #expect(try family.byte(child, page) == byte)
    }
    held.release()
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `a hold that fails holds nothing`() throws {
    let family = try Family(pages: 0..<16, frames: 128)
    let (machine, space) = (family.machine, family.spaces[0])
    try family.write(0, 0, 1)
    for free in [0, 3] as [UInt64] {
      let error = machine.withFree(free) {
        failure { _ = try space.hold(machine.range(0..<16), for: .write) }
      }
      #expect(error?.code == .resourceShortage && error?.address != nil)
      #expect(family.problems == [])
    }
    #expect(
      failure { _ = try space.hold(machine.range(10..<20), for: .read) }?.code
        == .invalidAddress)
    #expect(family.problems == [])
    // Wiring, unwiring and unmapping go on around a hold.
    let held = try space.hold(machine.range(2..<6), for: .write)
    try space.wire(machine.range(0..<16))
    #expect(family.problems == [])
    try space.unwire(machine.range(0..<16))
    #expect(family.problems == [])
    held.release()
    try family.expectNothingLeft()
  }

  @Test func `a device reads what the guest writes to pages that were shared`() throws {
    let family = Family(Machine(frames: 256, dirty: true))
    let (machine, space) = (family.machine, family.spaces[0])
    let pager = TestPager(pages: 8, geometry: .small)
    let image = MemoryObject(memory: machine.memory, size: PageCount(8), pager: pager)
    family.handles = [image]
    try space.map(image, at: machine.range(0..<8), copyOnWrite: true)
    try space.fault(machine.address(3), .read)
    let held = try space.hold(machine.range(2..<6), for: .read)
    try space.fault(machine.address(3), .read)
    let before = frame(family, 0, 3)
    try family.write(0, 3, 99)
    #expect(frame(family, 0, 3) == before)
    held.release()
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }
}
