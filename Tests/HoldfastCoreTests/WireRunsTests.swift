import HoldfastCore
import HoldfastTestKit
import Testing

/// Wiring by runs behind a shadow chain or a pager.
struct WireRunsTests {
  private static let superpage: UInt64 = 512

  /// A parent with resident superpages and its child.
  private func makeFamily(superpages: UInt64, frames: UInt64? = nil) throws -> Family {
    let pages = superpages * Self.superpage
    let family = try Family(pages: 0..<pages, frames: frames ?? 4 * pages)
    let range = family.machine.range(0..<pages)
    try family.spaces[0].wire(range)
    try family.spaces[0].unwire(range)
    for page in stride(from: 0, to: pages, by: 100) { try family.write(0, page, 7) }
    _ = try family.fork(0)
    return family
  }

  private func count(copies family: Family) -> ConcurrentFailures {
    let found = ConcurrentFailures()
    family.machine.store.beforeFilling { source, _ in if source != nil { found.tally() } }
    return found
  }

  @Test func `a child gets copies of superpages, by few calls`() throws {
    let family = try makeFamily(superpages: 5)
    let copies = count(copies: family)
    let summary = try family.spaces[1].wire(family.machine.range(0..<5 * Self.superpage))
    #expect(summary.copied == PageCount(5 * Self.superpage) && summary.zeroedNow == .zero)
    #expect(copies.operations <= 5 && family.pmaps[1].calls <= 5)
    #expect(family.pmaps[1].mappings.allSatisfy { $0.frames.count == PageCount(512) })
    for page in stride(from: 0, to: 5 * Self.superpage, by: 50) {
      #expect(try family.byte(1, page) == (page % 100 == 0 ? 7 : 0))
    }
    #expect(family.problems == [])
    try family.write(0, 100, 8)
    #expect(try family.byte(1, 100) == 7)
    try family.expectNothingLeft()
  }

  @Test func `copies and zeros of a region lie in one superpage`() throws {
    let family = try Family(pages: 0..<1024, frames: 4096)
    for page in [3, 100, 101, 102, 700] as [UInt64] { try family.write(0, page, UInt8(page % 90)) }
    let child = try family.fork(0)
    let summary = try family.spaces[child].wire(family.machine.range(0..<1024))
    #expect(summary.copied == PageCount(5) && summary.fragmented == .zero)
    #expect(summary.zeroedNow + summary.zeroedAhead == PageCount(1019))
    #expect(family.pmaps[child].mappings.allSatisfy { $0.frames.count == PageCount(512) })
    for page in [3, 4, 100, 101, 102, 103, 700] as [UInt64] {
      #expect(try family.byte(child, page) == family.byte(0, page))
    }
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `what is resident is wired in place, by runs`() throws {
    let family = try makeFamily(superpages: 3)
    let range = family.machine.range(0..<3 * Self.superpage)
    let space = family.spaces[1]
    // The child has its own first superpage and shares the others.
    try space.wire(family.machine.range(0..<Self.superpage))
    try space.unwire(family.machine.range(0..<Self.superpage))
    let calls = family.pmaps[1].calls
    let summary = try space.wire(range)
    #expect(summary.residentBefore == PageCount(512) && summary.copied == PageCount(1024))
    #expect(family.pmaps[1].calls <= calls + 3)
    try space.unwire(range)
    #expect(try space.wire(range).residentBefore == PageCount(3 * 512))
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test(arguments: [false, true])
  func `a pager is asked for large pages, also where it has holes`(copyOnWrite: Bool) throws {
    let machine = Machine(frames: 8192, dirty: true, wiredLimit: WiredLimit(.tebibytes(1)))
    let family = Family(machine)
    // The first region is whole, the second has holes, the third is absent.
    let pager = TestPager(pages: 1500, geometry: machine.geometry) { $0 < 512 || $0 % 5 == 2 }
    let image = MemoryObject(memory: machine.memory, size: PageCount(1536), pager: pager)
    family.handles = [image]
    let range = machine.range(0..<1536)
    try family.spaces[0].map(image, at: range, copyOnWrite: copyOnWrite)
    try family.spaces[0].wire(range)
    #expect(pager.requests.first == PageRange(from: .zero, to: PageIndex(512)))
    for page in stride(from: UInt64(0), to: 1536, by: 7) {
      let has = page < 512 || (page % 5 == 2 && page < 1500)
      #expect(try family.byte(0, page) == (has ? UInt8(truncatingIfNeeded: page + 1) : 0))
    }
    #expect(family.pmaps[0].mappings.allSatisfy { $0.frames.count == PageCount(512) })
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  enum Shortage: CaseIterable, Sendable {
    case frames, translations, pager
  }

  /// A child that has copied some pages, shares others with its parent, has holes, and an image.
  private func makeMixture() throws -> (Family, TestPager) {
    let machine = Machine(frames: 8192, dirty: true, wiredLimit: WiredLimit(.tebibytes(1)))
    let family = Family(machine)
    let pager = TestPager(pages: 1000, geometry: machine.geometry) { $0 % 300 != 299 }
    let image = MemoryObject(memory: machine.memory, size: PageCount(1024), pager: pager)
    family.handles = [image]
    let space = family.spaces[0]
    try space.map(at: machine.range(0..<1536))
    try space.map(image, at: machine.range(1536..<2560), copyOnWrite: true)
    try space.wire(machine.range(0..<600))
    try space.unwire(machine.range(0..<600))
    for page in [700, 701, 900] as [UInt64] { try family.write(0, page, 9) }
    let child = try family.fork(0)
    for page in [5, 6, 511, 512, 1100, 1540] as [UInt64] { try family.write(child, page, 4) }
    return (family, pager)
  }

  private func bytes(_ family: Family) throws -> [UInt8] {
    try (0..<2).flatMap { index in
      try stride(from: UInt64(0), to: 1536, by: 3).map { try family.byte(index, $0) }
    }
  }

  @Test(arguments: Shortage.allCases)
  func `a failure at any step leaves everything as it was`(shortage: Shortage) throws {
    var failures = 0
    var number: UInt64 = 0
    while true {
      let (family, pager) = try makeMixture()
      let machine = family.machine
      let before = try bytes(family)
      let wired = machine.wiredLimit.current
      func wire() -> HoldfastError? {
        failure { try family.spaces[1].wire(machine.range(0..<2560)) }
      }
      var error: HoldfastError?
      switch shortage {
      case .frames: error = machine.withFree(number, wire)
      case .translations:
        family.pmaps[1].fail(at: Int(number))
        error = wire()
      case .pager:
        pager.fail(at: Int(number))
        error = wire()
      }
      family.pmaps[1].fail(at: nil)
      pager.fail(at: nil)
      #expect(family.problems == [], "\(number)")
      if let error {
        failures += 1
        #expect(error.code == (shortage == .pager ? .pagerFailure : .resourceShortage))
        #expect(error.address != nil && machine.wiredLimit.current == wired)
        #expect(family.spaces[1].entryViews.allSatisfy { !$0.isWired })
      }
      #expect(try bytes(family) == before)
      for index in [4, 299, 764] as [UInt64] {
        let byte = index == 299 ? 0 : UInt8(truncatingIfNeeded: index + 1)
        #expect(try family.byte(0, 1536 + index) == byte)
      }
      try family.expectNothingLeft()
      if error == nil { break }
      // Numbers of frames are many: each size of a block, and those beside it.
      number = shortage == .frames ? number + 1 + number / 3 : number + 1
      try #require(number < 20_000)
    }
    #expect(failures >= 2)
    print("WireRunsTests: \(shortage): failed at \(failures) points")
  }

  @Test(arguments: [1, 2, 40] as [Int])
  func `in fragmented memory a wire that fails in the middle removes all of its runs`(
    number: Int
  ) throws {
    let family = try makeFamily(superpages: 1, frames: 2048)
    let machine = family.machine
    // Every second frame is taken, so that each run is a page.
    var taken: [Frame] = []
    for frame in stride(from: UInt64(1), to: 2048, by: 2)
    where machine.allocator.allocate(Frame(frame)) != nil {
      taken.append(Frame(frame))
    }
    family.pmaps[1].fail(at: number)
    let error = failure { try family.spaces[1].wire(machine.range(0..<Self.superpage)) }
    #expect(error?.code == .resourceShortage)
    #expect(error?.address == machine.address(UInt64(number)))
    #expect(family.pmaps[1].mappings.isEmpty)
    family.pmaps[1].fail(at: nil)
    try family.spaces[1].wire(machine.range(0..<Self.superpage))
    #expect(try family.byte(1, 100) == 7 && family.byte(1, 101) == 0)
    for frame in taken { machine.allocator.free(FrameRun(frame, .one), zeroed: false) }
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }
}
