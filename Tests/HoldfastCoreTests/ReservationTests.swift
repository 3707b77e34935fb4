import HoldfastCore
import HoldfastTestKit
import Testing

/// Behaviour 26 and the purpose of reservations: base pages that faults populate one by one become
/// superpages in place, and an allocation gets the unused frames of a reservation before it fails.
struct ReservationTests {
  private static let superpage: UInt64 = 512

  private func problems(_ stage: Stage) -> [String] {
    stage.pmap.violations
      + Invariants.problems(
        in: stage.machine.memory, spaces: [stage.space], handles: [stage.object])
  }

  private func touch(_ stage: Stage, _ page: UInt64) throws {
    try stage.space.fault(stage.machine.address(page), .write)
  }

  @Test(arguments: [false, true])
  func `pages touched in any order become a superpage in the object and in the pmap`(
    dirty: Bool
  ) throws {
    let stage = Stage(pages: 2 * Self.superpage, dirty: dirty)
    try stage.map(0..<2 * Self.superpage)
    var random = SeededGenerator(seed: 3)
    let order = (0..<Self.superpage).shuffled(using: &random)
    for (count, page) in order.enumerated() {
      #expect(stage.object.residentCount == PageCount(UInt64(count)))
      try touch(stage, page)
      if count % 100 == 0 { #expect(problems(stage) == []) }
    }
    #expect(stage.pmap.mappings.map(\.frames.count) == [PageCount(Self.superpage)])
    let statistics = stage.machine.memory.reservations.statistics
    #expect(statistics.filled == 1 && statistics.partial == 0 && statistics.unpopulated == .zero)
    let copies = stage.machine.store.zeroed
    #expect(copies == (dirty ? PageCount(Self.superpage) : .zero))
    #expect(problems(stage) == [])
    try stage.expectNothingLeft()
  }

  @Test func `regions that fault one after the other get contiguous blocks`() throws {
    let stage = Stage(pages: 8 * Self.superpage)
    try stage.map(0..<8 * Self.superpage)
    // This leaves room below the first of them.
    var dirty: [FrameRun] = []
    let held = (0..<3).map { _ in stage.machine.allocator.allocate(order: 9, dirty: &dirty)! }
    try touch(stage, 3 * Self.superpage)
    for block in held { stage.machine.allocator.free(block.run, zeroed: false) }
    for region in [3, 4, 2, 1, 5, 0] as [UInt64] {
      for page in 0..<Self.superpage { try touch(stage, region * Self.superpage + page) }
    }
    let starts = stage.pmap.mappings.map(\.frames.start.rawValue)
    #expect(starts.count == 6)
    #expect(zip(starts, starts.dropFirst()).allSatisfy { $1 == $0 + Self.superpage })
    try stage.expectNothingLeft()
  }

  @Test func `reservations are broken when no frame is free`() throws {
    // Four superpages of memory: each region's first page takes one.
    let stage = Stage(pages: 5 * Self.superpage, frames: 4 * Self.superpage)
    let memory = stage.machine.memory
    try stage.map(0..<5 * Self.superpage)
    for region in 0..<UInt64(4) { try touch(stage, region * Self.superpage) }
    #expect(stage.machine.allocator.occupancy.free == .zero)
    #expect(memory.available == PageCount(4 * Self.superpage - 4))
    // Region 0 was used last now, so that it is region 1 that is broken.
    try touch(stage, 7)
    try touch(stage, 4 * Self.superpage)
    #expect(memory.reservations.statistics.broken == 1)
    for page in 8..<Self.superpage { try touch(stage, page) }
    #expect(memory.reservations.statistics.broken == 1)
    // Wiring the rest of the free memory breaks the others too.
    for page in 1..<7 as Range<UInt64> { try touch(stage, page) }
    let rest = memory.available
    try stage.space.wire(stage.machine.range(3 * Self.superpage + 1..<4 * Self.superpage))
    #expect(memory.available == rest - PageCount(Self.superpage - 1))
    var page = Self.superpage
    while memory.available > .zero {
      try touch(stage, page)
      page += 1
    }
    #expect(failure { try touch(stage, page) }?.code == .resourceShortage)
    #expect(problems(stage) == [])
    try stage.expectNothingLeft()
  }

  @Test func `a wire fills the rest of a reservation in place`() throws {
    for path in WirePath.allCases {
      let stage = Stage(pages: 2 * Self.superpage)
      try stage.map(0..<2 * Self.superpage)
      for page in [3, 77, 78, 500] as [UInt64] {
        try touch(stage, page)
        stage.machine.store.write(
          [UInt8(page % 256)].span.bytes,
          to: stage.object.state(of: PageIndex(page))!.frame, offset: .zero)
      }
      let summary = try stage.space.wire(stage.machine.range(0..<Self.superpage), path.options)
      #expect(summary.residentBefore == PageCount(4) && summary.fragmented == .zero)
      #expect(try stage.space.read(stage.machine.address(77), count: 1)[0] == 77)
      try stage.space.unwire(stage.machine.range(0..<Self.superpage))
      try touch(stage, 0)
      #expect(stage.pmap.mapping(at: .zero)?.frames.count == PageCount(Self.superpage))
      #expect(problems(stage) == [])
      try stage.expectNothingLeft()
    }
  }

  @Test func `pages of two contiguous regions are removed with one call`() throws {
    let stage = Stage(pages: 3 * Self.superpage)
    try stage.map(0..<3 * Self.superpage)
    for page in Self.superpage - 100..<Self.superpage + 50 { try touch(stage, page) }
    #expect(stage.machine.memory.reservations.statistics.partial == 2)
    #expect(
      stage.pmap.mappings.last!.frames.start == stage.pmap.mappings[0].frames.start + PageCount(149)
    )
    try stage.expectNothingLeft()
    #expect(stage.machine.memory.reservations.statistics.emptied == 2)
  }

  @Test func `removing the last page frees the reservation's block`() throws {
    let stage = Stage(pages: 2 * Self.superpage, dirty: false)
    try stage.map(0..<2 * Self.superpage)
    for page in [9, 10, 200] as [UInt64] { try touch(stage, page) }
    try stage.space.remove(stage.space.bounds)
    stage.object.release()
    let statistics = stage.machine.memory.reservations.statistics
    #expect(statistics.partial == 0 && statistics.emptied == 1)
    let occupancy = stage.machine.allocator.occupancy
    #expect(occupancy.free == occupancy.total)
    // Only the three may have been written to.
    #expect(occupancy.zeroed == occupancy.total - PageCount(3))
    #expect(stage.machine.allocator.largestFreeOrder! >= 9)
  }

  @Test func `a region cut by the object's end or an unmapped part has no reservation`() throws {
    let machine = Machine(frames: 4096)
    let (space, pmap) = machine.makeSpace()
    // Anonymous memory from page 100 on: its first region has pages that are never mapped.
    try space.map(at: machine.range(100..<1500))
    try space.fault(machine.address(110), .write)
    try space.fault(machine.address(1400), .write)
    #expect(machine.memory.reservations.statistics.reserved == 0)
    try space.fault(machine.address(600), .write)
    #expect(machine.memory.reservations.statistics.reserved == 1)
    #expect(Invariants.problems(in: machine.memory, spaces: [space]) == [])
    #expect(pmap.violations == [])
    try space.remove(space.bounds)
    #expect(machine.memory.available == PageCount(4096))
  }

  @Test func `copies after a fork fill reservations of their own, which a collapse moves along`()
    throws
  {
    let family = try Family(pages: 0..<2 * Self.superpage, frames: 8192)
    for page in stride(from: UInt64(0), to: 600, by: 3) { try family.write(0, page, 9) }
    let child = try family.fork(0)
    for page in stride(from: UInt64(0), to: 600, by: 2) { try family.write(child, page, 8) }
    #expect(family.problems == [])
    let reservations = family.machine.memory.reservations
    #expect(reservations.statistics.partial == 4)
    // The parent ends: pages that the child has not copied move up to it.
    try family.end(0)
    #expect(family.problems == [])
    for page in 0..<UInt64(600) {
      let byte: UInt8 = page % 2 == 0 ? 8 : page % 3 == 0 ? 9 : 0
      #expect(try family.byte(child, page) == byte)
    }
    try family.expectNothingLeft()
    #expect(reservations.statistics.partial == 0)
  }

  @Test func `2 MiB base pages fill 1 GiB superpages`() throws {
    let stage = Stage(pages: 1024, frames: 2048, geometry: .large)
    try stage.map(0..<1024)
    for page in (0..<UInt64(512)).reversed() { try touch(stage, page) }
    #expect(stage.pmap.mappings.map(\.frames.count) == [PageCount(512)])
    try stage.expectNothingLeft()
  }
}
