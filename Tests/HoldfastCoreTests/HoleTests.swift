import HoldfastCore
import HoldfastTestKit
import Testing

/// Behaviours 1 to 4: the parts of a range that cannot be wired.
struct HoleTests {
  enum Hole: CaseIterable {
    case start, middle, end, all
    var mapped: [Range<UInt64>] {
      switch self {
      case .start: [10..<30]
      case .middle: [0..<10, 20..<30]
      case .end: [0..<20]
      case .all: []
      }
    }
    /// The first page of 0..<30 that is not mapped.
    var first: UInt64 {
      switch self {
      case .start, .all: 0
      case .middle: 10
      case .end: 20
      }
    }
  }

  @Test(arguments: WirePath.allCases, Hole.allCases)
  func `a hole fails the whole wiring and leaves nothing`(path: WirePath, hole: Hole) throws {
    for options in [WireOptions.user, .system] {
      let stage = Stage(pages: 40)
      for pages in hole.mapped { try stage.map(pages, offset: pages.lowerBound) }
      let before = stage.snapshot
      let error = stage.wire(0..<30, options, path)
      #expect(error?.code == .invalidAddress)
      #expect(error?.address == stage.machine.address(hole.first))
      #expect(stage.snapshot == before)
      #expect(stage.pmap.mappings.isEmpty)
      try stage.expectNothingLeft()
    }
  }

  @Test(arguments: WirePath.allCases, Hole.allCases)
  func `holes are skipped on request`(path: WirePath, hole: Hole) throws {
    let stage = Stage(pages: 40)
    for pages in hole.mapped { try stage.map(pages, offset: pages.lowerBound) }
    let before = stage.snapshot
    let summary = try stage.space.wire(
      stage.machine.range(0..<30), [.holesOK, path.options])
    let count = hole.mapped.reduce(0) { $0 + UInt64($1.count) }
    #expect(summary.wiredPages == PageCount(count))
    #expect(stage.wiredInPmap == count)
    #expect(stage.space.entryViews.allSatisfy { $0.isUserWired })
    #expect(stage.problems == [])
    if hole != .all { #expect(stage.unwire(0..<30)?.code == .invalidAddress) }
    #expect(stage.wiredInPmap == count)
    #expect(stage.unwire(0..<30, .holesOK) == nil)
    #expect(stage.wiredInPmap == 0)
    #expect(stage.snapshot.entries == before.entries)
    #expect(stage.problems == [])
    try stage.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases, [Protection(), .write])
  func `guards and write-only entries fail, or are skipped with holes`(
    path: WirePath, protection: Protection
  ) throws {
    for place in [0..<10 as Range<UInt64>, 10..<20, 20..<30] {
      let stage = Stage(pages: 40)
      for pages in [0..<10 as Range<UInt64>, 10..<20, 20..<30] {
        try stage.map(pages, offset: pages.lowerBound, pages == place ? protection : .readWrite)
      }
      let before = stage.snapshot
      let error = stage.wire(0..<30, .user, path)
      #expect(error?.code == .invalidAddress)
      #expect(error?.address == stage.machine.address(place.lowerBound))
      #expect(stage.snapshot == before)
      #expect(stage.pmap.mappings.isEmpty)

      #expect(stage.wire(5..<25, .holesOK, path) == nil)
      let inside = place.clamped(to: 5..<25).count
      #expect(stage.wiredInPmap == 20 - UInt64(inside))
      #expect(stage.pmap.mapping(at: stage.machine.address(place.lowerBound + 5)) == nil)
      #expect(stage.problems == [])
      try stage.expectNothingLeft()
    }
  }

  @Test(arguments: WirePath.allCases)
  func `wiring for writing fails on what is read-only`(path: WirePath) throws {
    let stage = Stage(pages: 40)
    try stage.map(0..<10)
    try stage.map(10..<20, offset: 10, .read)
    let before = stage.snapshot
    let error = stage.wire(0..<20, .write, path)
    #expect(error?.code == .invalidAddress)
    #expect(error?.address == stage.machine.address(10))
    #expect(stage.snapshot == before)
    #expect(stage.wire(0..<20, [.write, .holesOK], path) == nil)
    #expect(stage.wiredInPmap == 10)
    #expect(stage.wire(0..<20, .user, path) == nil)
    #expect(stage.wiredInPmap == 20)
    #expect(stage.problems == [])
    try stage.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases)
  func `entries are wired up to the last addressable page`(path: WirePath) throws {
    let machine = Machine(frames: 2048, dirty: true)
    let pmap = CheckingPmap(geometry: machine.geometry)
    let size = machine.geometry.bytes(PageCount(1024))
    let top = Address(.max - 0xFFF)
    let bounds = AddressRange(from: top - size, to: top)
    let space = try AddressSpace(bounds: bounds, memory: machine.memory, pmap: pmap)
    #expect(try space.map(anywhere: size) == bounds)
    #expect(failure { _ = try space.map(anywhere: machine.geometry.pageSize) }?.code == .noSpace)
    try space.wire(bounds, path.options)
    #expect(machine.problems(in: space, pmap) == [])
    try space.write([1, 2, 3], at: top - ByteCount(3))
    #expect(try space.read(top - ByteCount(4), count: 4) == [0, 1, 2, 3])
    #expect(failure { _ = try space.read(top - ByteCount(4), count: 5) }?.code == .invalidAddress)
    #expect(
      failure { _ = try space.read(top + ByteCount(0xFFF), count: 5) }?.code == .invalidArgument)
    try space.unwire(bounds)
    try space.remove(bounds)
    #expect(pmap.mappings.isEmpty && pmap.violations.isEmpty)
    #expect(machine.allocator.occupancy.free == PageCount(2048))
  }
}
