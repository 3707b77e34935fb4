import HoldfastCore
import HoldfastTestKit
import Testing

/// Chains in which a page has a different index in each object, and none is that of its address.
struct OffsetTests {
  private static let pages = 700..<UInt64(1730)
  private static let offset: UInt64 = 3 * 512 + 5

  /// The first contents of a page.
  private func original(_ page: UInt64) -> UInt8 {
    UInt8(truncatingIfNeeded: page - Self.pages.lowerBound + 6)
  }

  /// A space with copies of an object, which a pager has, or which is filled with superpages.
  private func makeFamily(
    paged: Bool, at pages: Range<UInt64> = pages
  ) throws -> Family {
    let machine = Machine(
      geometry: Geometry(shift: 12, levels: 1), frames: 8192, dirty: true,
      wiredLimit: WiredLimit(.tebibytes(1)))
    let family = Family(machine)
    let pager = TestPager(from: 1536, pages: 1536, geometry: machine.geometry)
    let size = PageCount(3072)
    let object =
      paged
      ? MemoryObject(memory: machine.memory, size: size, pager: pager)
      : MemoryObject(memory: machine.memory, size: size)
    family.handles = [object]
    if !paged {
      let maker = family.addSpace()
      let range = machine.range(7 * 512..<10 * 512)
      try family.spaces[maker].map(object, offset: PageIndex(1536), at: range)
      try family.spaces[maker].wire(range)
      for page in 0..<1536 as Range<UInt64> {
        try family.write(maker, 7 * 512 + page, UInt8(truncatingIfNeeded: page + 1))
      }
      try family.end(maker)
    }
    try family.spaces[0].map(
      object, offset: PageIndex(Self.offset), at: machine.range(pages), copyOnWrite: true)
    return family
  }

  /// Expects the contents that a space must find in each page, and no broken invariant.
  private func check(
    _ family: Family, _ index: Int, _ changes: [UInt64: UInt8], in pages: Range<UInt64> = pages,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let wrong = try pages.filter {
      try family.byte(index, $0) != changes[$0] ?? original($0)
    }
    #expect(wrong == [], sourceLocation: sourceLocation)
    #expect(family.problems == [], sourceLocation: sourceLocation)
  }

  @Test(arguments: WirePath.allCases, [false, true])
  func `pages are found, copied, wired and moved by their own numbers`(
    path: WirePath, paged: Bool
  ) throws {
    let family = try makeFamily(paged: paged)
    let space = family.spaces[0]
    let range = family.machine.range(Self.pages)
    let found = watchSources(family)
    var changes: [UInt64: UInt8] = [703: 1, 1100: 2]
    for (page, byte) in changes { try family.write(0, page, byte) }
    try check(family, 0, changes)

    // Wired in place, then in copies, then copied at once.
    let child = try family.fork(0)
    try family.spaces[child].protect(range, .read)
    try family.spaces[child].wire(range, path.options)
    try check(family, child, changes)
    try family.spaces[child].unwire(range)
    try check(family, child, changes)
    try family.spaces[child].wire(range, path.options)
    try family.spaces[child].protect(range, .readWrite)
    try check(family, child, changes)
    let grandchild = try family.fork(child)
    try check(family, grandchild, changes)
    try family.end(child)
    try family.write(0, 1500, 4)
    changes[1500] = 4
    try check(family, 0, changes)

    // A shadow that begins 512 pages behind the start of the one below, which then gives up its
    // pages.
    let rest = 1310..<Self.pages.upperBound
    try space.remove(family.machine.range(Self.pages.lowerBound..<rest.lowerBound))
    let second = try family.fork(0)
    try family.write(0, 1400, 3)
    try check(family, second, changes, in: rest)
    changes[1400] = 3
    try check(family, 0, changes, in: rest)
    try family.end(second)
    try check(family, 0, changes, in: rest)
    #expect(space.object(at: range.end - family.machine.geometry.pageSize)?.chain.count == 2)

    // Every page of the one below is shadowed in turn; one with a pager stays.
    let third = try family.fork(0)
    try space.wire(family.machine.range(rest), path.options)
    try check(family, 0, changes, in: rest)
    try check(family, third, changes, in: rest)
    #expect(
      space.object(at: range.end - family.machine.geometry.pageSize)?.chain.count
        == (paged ? 2 : 1))
    try space.unwire(family.machine.range(rest))
    try family.end(0)
    try check(family, third, changes, in: rest)
    try check(family, grandchild, [703: 1, 1100: 2])

    // The end of an entry that is wired, copied at once.
    try family.spaces[grandchild].wire(range, path.options)
    try family.end(third)
    try family.spaces[grandchild].remove(
      family.machine.range(Self.pages.lowerBound..<rest.lowerBound))
    let last = try family.fork(grandchild)
    try check(family, last, [:], in: rest)
    #expect(found.all == [])
    try family.expectNothingLeft()
  }

  /// Checks that pages of the object are busy while they are copied, unless they are wired.
  private func watchSources(_ family: Family) -> ConcurrentFailures {
    let found = ConcurrentFailures()
    let object = family.handles[0]
    var places: [Frame: PageIndex] = [:]
    object.forEachResident(in: PageRange(start: .zero, count: object.size)) { range, state in
      for page in 0..<range.count.rawValue {
        places[state.frame + PageCount(page)] = range.start + PageCount(page)
      }
    }
    family.machine.store.beforeFilling { [places] source, _ in
      guard let source, let place = places[source.start], let state = object.state(of: place),
        state.frame == source.start, !state.isBusy, state.wireCount == 0
      else { return }
      found.report("page \(place) is copied and may go: \(state)")
    }
    return found
  }

  @Test(arguments: WirePath.allCases)
  func `a wire pages in by the pages' own indexes`(path: WirePath) throws {
    let family = try makeFamily(paged: true)
    try family.spaces[0].wire(family.machine.range(Self.pages), path.options)
    try check(family, 0, [:])
    try family.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases)
  func `copies have the same positions in superpages as their sources`(path: WirePath) throws {
    // Addresses with the same positions in superpages as the object's pages.
    let pages = (5 * 512 + 5)..<UInt64(7 * 512 + 11)
    let family = try makeFamily(paged: false, at: pages)
    let machine = family.machine
    let range = machine.range(pages)
    // Single frames are free too, which would do for single pages.
    let single = (0..<64 as Range<UInt64>).compactMap {
      machine.allocator.allocate(Frame(8190 - 2 * $0))?.run
    }
    let odd = single.map { FrameRun($0.start + .one, .one) }
      .compactMap { machine.allocator.allocate($0.start)?.run }
    for run in single { machine.allocator.free(run, zeroed: false) }
    try family.spaces[0].wire(range, path.options)
    let child = try family.fork(0)
    for index in [0, child] {
      var whole: [Address] = []
      family.spaces[index].forEachResident(in: range) { address, run, _ in
        if run.count == PageCount(512) { whole.append(address) }
      }
      #expect(whole == [machine.address(6 * 512)])
    }
    for run in odd { machine.allocator.free(run, zeroed: false) }
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }
}
