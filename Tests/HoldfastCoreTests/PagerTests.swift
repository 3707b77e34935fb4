import HoldfastTestKit
import Testing

@testable import HoldfastCore

/// Objects with a pager.
struct PagerTests {
  /// A space with 40 pages at 0 of a pager that has 30.
  private func makeFamily(
    frames: UInt64 = 256, _ protection: Protection = .readWrite, copyOnWrite: Bool = false
  ) throws -> (Family, TestPager) {
    let machine = Machine(frames: frames, dirty: true, wiredLimit: WiredLimit(.tebibytes(1)))
    let family = Family(machine)
    let pager = TestPager(pages: 30, geometry: machine.geometry)
    let object = MemoryObject(memory: machine.memory, size: PageCount(40), pager: pager)
    family.handles = [object]
    try family.spaces[0].map(
      object, at: machine.range(0..<40), protection: protection, copyOnWrite: copyOnWrite)
    return (family, pager)
  }

  @Test func `a fault pages several pages in with one request, each only once`() throws {
    let (family, pager) = try makeFamily()
    for page in 0..<40 as Range<UInt64> {
      try family.spaces[0].fault(family.machine.address(page), .read)
      #expect(try family.byte(0, page) == (page < 30 ? UInt8(page + 1) : 0))
    }
    #expect(pager.requests.count < 8)
    #expect(pager.requests.reduce(0) { $0 + $1.count.rawValue } == 30)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `a read by the monitor pages in too`() throws {
    let (family, _) = try makeFamily()
    let bytes = try family.spaces[0].read(family.machine.address(3), count: 4 * 4096)
    let last: [UInt8] = (1...4).map { bytes[4096 * $0 - 1] }
    #expect(bytes.count == 4 * 4096 && last == [4, 5, 6, 7])
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases, [false, true])
  func `a wire pages everything in, and into copies where the mapping is copy-on-write`(
    path: WirePath, copyOnWrite: Bool
  ) throws {
    let (family, pager) = try makeFamily(copyOnWrite: copyOnWrite)
    let range = family.machine.range(0..<40)
    let summary = try family.spaces[0].wire(range, path.options)
    #expect(summary.copied == PageCount(copyOnWrite ? 30 : 0))
    #expect(pager.requests.count < 8)
    #expect(pager.requests.reduce(0) { $0 + $1.count.rawValue } == 30)
    for page in 0..<40 as Range<UInt64> {
      #expect(try family.byte(0, page) == (page < 30 ? UInt8(page + 1) : 0))
    }
    try family.write(0, 5, 99)
    #expect(family.problems == [])
    if copyOnWrite {
      let other = family.addSpace()
      try family.spaces[other].map(family.handles[0], at: range)
      #expect(try family.byte(other, 5) == 6)
      #expect(pager.requests.reduce(0) { $0 + $1.count.rawValue } == 30)
    }
    try family.expectNothingLeft()
  }

  @Test func `a fault throws the pager's error with its address and leaves nothing`() throws {
    let (family, pager) = try makeFamily()
    let free = family.machine.allocator.occupancy.free
    for access in [Protection.read, .write] {
      pager.fail(at: 0)
      let address = family.machine.address(17) + ByteCount(123)
      let error = failure { try family.spaces[0].fault(address, access) }
      #expect(error?.code == .pagerFailure && error?.errno == 5 && error?.address == address)
      #expect(family.machine.allocator.occupancy.free == free)
      #expect(family.pmaps[0].mappings.isEmpty && family.problems == [])
    }
    pager.fail(at: nil)
    try family.spaces[0].fault(family.machine.address(17), .read)
    #expect(try family.byte(0, 17) == 18)
    try family.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases, [false, true])
  func `a pager that fails at any request undoes the wire`(
    path: WirePath, copyOnWrite: Bool
  ) throws {
    for number in 0... {
      let (family, pager) = try makeFamily(copyOnWrite: copyOnWrite)
      let range = family.machine.range(0..<40)
      pager.fail(at: number)
      let error = failure { try family.spaces[0].wire(range, path.options) }
      #expect(family.problems == [], "request \(number)")
      if error == nil {
        #expect(number >= 2)
        try family.expectNothingLeft()
        return
      }
      #expect(error?.code == .pagerFailure && error?.errno == 5)
      #expect(error?.address == family.machine.geometry.address(of: pager.requests.last))
      #expect(family.machine.wiredLimit.current == .zero)
      #expect(family.spaces[0].entryViews.allSatisfy { !$0.isWired })
      // Pages that were paged in stay, unwired.
      for page in 0..<40 as Range<UInt64> {
        #expect(try family.byte(0, page) == (page < 30 ? UInt8(page + 1) : 0))
      }
      try family.expectNothingLeft()
    }
  }

  @Test
  func `without frames for several pages one is paged in, and without a frame the fault fails`()
    throws
  {
    let (family, pager) = try makeFamily()
    let space = family.spaces[0]
    let address = family.machine.address(8)
    let error = family.machine.withFree(0) { failure { try space.fault(address, .read) } }
    #expect(error?.code == .resourceShortage && pager.requests.isEmpty)
    try family.machine.withFree(1) { try space.fault(address, .read) }
    #expect(pager.requests.map(\.count) == [.one])
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `children of a guest that was started from an image are independent`() throws {
    let (family, _) = try makeFamily(copyOnWrite: true)
    try family.write(0, 3, 70)
    let child = try family.fork(0)
    try family.write(child, 3, 71)
    try family.write(0, 20, 72)
    #expect(try family.byte(0, 3) == 70 && family.byte(child, 3) == 71)
    #expect(try family.byte(child, 20) == 21 && family.byte(child, 35) == 0)
    #expect(family.problems == [])
    try family.end(0)
    #expect(try family.byte(child, 3) == 71 && family.byte(child, 4) == 5)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  /// What another thread may have done since the pages were found missing.
  @Test func `pages that another thread paged in stay, and a dead object gets none`() throws {
    for there in 1..<8 as Range<UInt64> {
      let machine = Machine(frames: 64, dirty: true)
      let pager = TestPager(pages: 30, geometry: machine.geometry)
      let object = MemoryObject(memory: machine.memory, size: PageCount(30), pager: pager)
      try object.pageIn(PageIndex(there), limit: .one)
      let before = object.state(of: PageIndex(there))
      try object.pageIn(.zero, limit: PageCount(8))
      #expect(object.state(of: PageIndex(there)) == before)
      // As many as are missing before it, in one block.
      let more = UInt64(1) << UInt64(UInt64.bitWidth - 1 - there.leadingZeroBitCount)
      #expect(object.state(of: .zero)?.isValid == true)
      #expect(object.residentCount == PageCount(1 + more))
      try object.pageIn(.zero, limit: .one)
      #expect(pager.requests.count == 2)
      #expect(machine.falselyZeroed.isEmpty)
      object.release()
      try object.pageIn(PageIndex(16), limit: PageCount(8))
      #expect(machine.allocator.occupancy.free == PageCount(64))
    }
  }

  @Test func `threads that fault on the same pages page them in once`() throws {
    let (family, pager) = try makeFamily()
    let space = family.spaces[0]
    let machine = family.machine
    let barrier = Barrier(4)
    let done = runThreads(4) { thread in
      barrier.arrive()
      for page in 0..<30 as Range<UInt64> {
        let page = thread % 2 == 0 ? page : 29 - page
        if failure({ try space.fault(machine.address(page), .read) }) != nil { return }
      }
    }
    try #require(done)
    #expect(pager.requests.reduce(0) { $0 + $1.count.rawValue } == 30)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `an object has its pager again when a fork has ended`() throws {
    let family = Family(Machine(frames: 128, dirty: true))
    let machine = family.machine
    let pager = TestPager(pages: 16, geometry: .small)
    let image = MemoryObject(memory: machine.memory, size: PageCount(16), pager: pager)
    family.handles = [image]
    try family.spaces[0].map(image, at: machine.range(0..<16))
    try family.write(0, 2, 99)
    let child = try family.fork(0)
    try family.write(0, 3, 98)
    try family.end(child)
    #expect(image.chain.count == 1)
    for (page, byte) in [(2, 99), (3, 98), (15, 16)] as [(UInt64, UInt8)] {
      #expect(try family.byte(0, page) == byte)
    }
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  /// Nothing but the copy's object needs the image, but its pages have other numbers there.
  @Test func `a pager remains with an object whose pages have other numbers above`() throws {
    let family = Family(Machine(frames: 512, dirty: true))
    let (machine, space) = (family.machine, family.spaces[0])
    let pager = TestPager(pages: 164, geometry: .small)
    let image = MemoryObject(memory: machine.memory, size: PageCount(164), pager: pager)
    try space.map(image, offset: PageIndex(64), at: machine.range(0..<100), copyOnWrite: true)
    image.release()
    for page in [2, 3] as [UInt64] { try family.write(0, page, 99) }
    try #require(space.object(at: .zero)).collapse(waits: true)
    for page in 0..<100 as Range<UInt64> {
      #expect(try family.byte(0, page) == ([2, 3].contains(page) ? 99 : UInt8(page) + 65))
    }
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }
}

extension Geometry {
  /// Where the pages of a request begin, in a space that maps page 0 at address 0.
  fileprivate func address(of pages: PageRange?) -> Address? {
    pages.map { .zero + bytes($0.start - .zero) }
  }
}
