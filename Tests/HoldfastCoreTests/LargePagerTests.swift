import HoldfastTestKit
import Testing

@testable import HoldfastCore

/// Faults that page in a whole large page.
struct LargePagerTests {
  /// A space with 1,200 pages at 0 of a pager that has those of 1,100 that `has` says.
  private func makeFamily(
    frames: UInt64 = 4096, has: @escaping @Sendable (UInt64) -> Bool
  ) throws -> (Family, TestPager) {
    let machine = Machine(
      frames: frames, dirty: true, wiredLimit: WiredLimit(.tebibytes(1)),
      faultGranularity: .largePage)
    let family = Family(machine)
    let pager = TestPager(pages: 1100, geometry: machine.geometry, has: has)
    let object = MemoryObject(memory: machine.memory, size: PageCount(1200), pager: pager)
    family.handles = [object]
    try family.spaces[0].map(object, at: machine.range(0..<1200))
    return (family, pager)
  }

  /// Whether pages read as the pager has them, and zero elsewhere.
  private func check(_ family: Family, _ has: (UInt64) -> Bool) throws {
    let bytes = try family.spaces[0].read(.zero, count: 1200 << 12)
    for page in 0..<1200 as Range<UInt64> {
      let expected = page < 1100 && has(page) ? UInt8(truncatingIfNeeded: page + 1) : 0
      #expect(bytes[Int(page) << 12] == expected, "\(page)")
      #expect(bytes[Int(page) << 12 + 4095] == expected, "\(page)")
    }
  }

  @Test func `one fault pages in a whole large page with one request for each part of the pager's`()
    throws
  {
    let has: @Sendable (UInt64) -> Bool = { $0 % 100 != 7 }
    let (family, pager) = try makeFamily(has: has)
    let resolution = try family.spaces[0].fault(family.machine.address(300), .read)
    #expect(resolution.range == family.machine.range(0..<512) && resolution.work == .paged)
    #expect(pager.requests.count == 7)
    #expect(try #require(family.pmaps[0].mapping(at: .zero)).frames.count == PageCount(512))
    // A fault on a hole among them pages the rest in too.
    let zero = try family.spaces[0].fault(family.machine.address(607), .write)
    #expect(zero.range == family.machine.range(512..<1024))
    // At the end there is no whole large page.
    try family.spaces[0].fault(family.machine.address(1050), .write)
    #expect(family.handles[0].residentCount < PageCount(1024 + 64))
    try check(family, has)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `a large page in a hole is not read from the pager`() throws {
    let has: @Sendable (UInt64) -> Bool = { $0 < 512 }
    let (family, pager) = try makeFamily(has: has)
    let resolution = try family.spaces[0].fault(family.machine.address(700), .write)
    #expect(resolution.range == family.machine.range(512..<1024) && resolution.work == .zeroed)
    #expect(pager.requests == [])
    try check(family, has)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `a pager's error leaves nothing, and without a free block few pages are read at once`()
    throws
  {
    let has: @Sendable (UInt64) -> Bool = { $0 % 2 == 0 }
    let (family, pager) = try makeFamily(frames: 1536, has: has)
    let free = family.machine.allocator.occupancy.free
    pager.fail(at: 100)
    let error = failure { try family.spaces[0].fault(family.machine.address(5), .read) }
    #expect(error?.code == .pagerFailure)
    #expect(family.machine.allocator.occupancy.free == free)
    #expect(family.pmaps[0].mappings.isEmpty && family.problems == [])
    pager.fail(at: nil)
    var dirty: [FrameRun] = []
    let taken = [Frame(5), Frame(700), Frame(1200)]
    for frame in taken {
      #expect(family.machine.allocator.allocate(frame, order: 0, dirty: &dirty) != nil)
    }
    for page in 4..<8 as Range<UInt64> {
      try family.spaces[0].fault(family.machine.address(page), .read)
      #expect(try family.byte(0, page) == (has(page) ? UInt8(page + 1) : 0))
    }
    #expect(family.handles[0].residentCount == PageCount(4))
    for frame in taken { family.machine.allocator.free(FrameRun(frame, .one), zeroed: false) }
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `pages that were paged in ahead need no fault, and holes stay absent`() throws {
    let has: @Sendable (UInt64) -> Bool = { $0 < 300 || $0 >= 1030 }
    let (family, pager) = try makeFamily(has: has)
    try family.spaces[0].write([9], at: family.machine.address(200))
    let before = pager.requests.count
    try family.handles[0].pageInAll(PageRange(from: .zero, to: PageIndex(1200)))
    #expect(pager.requests.count > before)
    #expect(family.handles[0].state(of: PageIndex(800)) == nil)
    let populated = family.spaces[0].populatedParts(of: family.machine.range(0..<2000))
    #expect(populated.mapped == family.machine.range(0..<1200).length)
    #expect(populated.parts.first?.start == .zero)
    #expect(!populated.parts.contains { $0.contains(family.machine.address(800)) })
    #expect(populated.parts.last?.end == family.machine.address(1100))
    let after = pager.requests.count
    #expect(try family.spaces[0].read(family.machine.address(200), count: 1) == [9])
    try family.spaces[0].write([201], at: family.machine.address(200))
    try check(family, has)
    #expect(pager.requests.count == after && family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `populated parts include the pager's before and after they are paged in`() throws {
    let has: @Sendable (UInt64) -> Bool = { $0 / 10 % 2 == 1 }
    let (family, _) = try makeFamily(has: has)
    func parts(_ index: Int) -> [AddressRange] {
      family.spaces[index].populatedParts(of: family.machine.range(5..<45)).parts
    }
    let expected = [family.machine.range(10..<20), family.machine.range(30..<40)]
    #expect(parts(0) == expected)
    let child = try family.fork(0)
    #expect(parts(child) == expected)
    try family.write(child, 25, 1)
    #expect(parts(child).contains { $0.contains(family.machine.address(25)) })
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }
}
