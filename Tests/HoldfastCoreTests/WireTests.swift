import HoldfastCore
import HoldfastTestKit
import Testing

struct WireTests {
  @Test func `a wire fills a range with zeroed superpages, and unmapping frees all of them`() throws
  {
    let machine = Machine(frames: 1 << 14, dirty: true)
    let (space, pmap) = machine.makeSpace()
    let range = machine.range(512..<512 * 5 + 7)
    try space.map(at: range)
    let summary = try space.wire(range)
    #expect(summary.wiredPages == PageCount(512 * 4 + 7))
    #expect(pmap.mappings.count == 4 + 7)
    #expect(pmap.mappings.allSatisfy { $0.isWired && machine.store.isZero($0.frames) })
    #expect(pmap.violations.isEmpty)
    try space.remove(range)
    #expect(pmap.mappings.isEmpty)
    #expect(machine.allocator.occupancy.free == PageCount(1 << 14))
  }

  @Test func `the fault path leaves the same`() throws {
    let machine = Machine(frames: 1 << 14, dirty: true)
    let (space, pmap) = machine.makeSpace()
    let range = machine.range(512..<512 * 5 + 7)
    try space.map(at: range)
    let summary = try space.wire(range, .faultPath)
    #expect(summary.wiredPages == PageCount(512 * 4 + 7))
    #expect(pmap.mappings.count == 512 * 4 + 7)
    #expect(pmap.mappings.allSatisfy { $0.isWired && machine.store.isZero($0.frames) })
    #expect(pmap.violations.isEmpty)
    try space.remove(range)
    #expect(machine.allocator.occupancy.free == PageCount(1 << 14))
  }

  @Test func `a shortage leaves nothing behind`() throws {
    let machine = Machine(frames: 1000, dirty: true)
    let (space, pmap) = machine.makeSpace()
    let range = machine.range(512..<512 * 5 + 7)
    try space.map(at: range)
    for options in [WireOptions.user, .faultPath] {
      #expect(throws: HoldfastError.self) { try space.wire(range, options) }
      #expect(pmap.mappings.isEmpty && pmap.violations.isEmpty)
      #expect(machine.allocator.occupancy.free == PageCount(1000))
      #expect(space.entryViews.count == 1)
      #expect(space.entryViews[0].isUserWired == false)
    }
  }

  @Test func `a fault makes a zero page, and bytes can be written and read`() throws {
    let machine = Machine(dirty: true)
    let (space, _) = machine.makeSpace()
    try space.map(at: machine.range(0..<10))
    try space.write([1, 2, 3, 4] as [UInt8], at: machine.address(3) - ByteCount(2))
    #expect(try space.read(machine.address(3) - ByteCount(3), count: 6) == [0, 1, 2, 3, 4, 0])
    #expect(try space.read(machine.address(7), count: 1) == [0])
  }
}
