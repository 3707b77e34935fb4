import HoldfastCore
import HoldfastTestKit
import Testing

/// Copies in superpages that the pmap cannot split, and wirings of a part that fail: both are
/// errors, and nothing has changed.
struct CopyShortageTests {
  private static let pages = 0..<UInt64(1024)

  /// A parent whose two superpages hold a byte each page, and a child, both with translations.
  private func makeFamily() throws -> (Family, child: Int) {
    let family = try Family(pages: Self.pages, frames: 8192)
    let range = family.machine.range(Self.pages)
    try family.spaces[0].wire(range, .prefault)
    for page in Self.pages { try family.write(0, page, UInt8(page % 200 + 1)) }
    try family.spaces[0].unwire(range)
    let child = try family.fork(0)
    for index in [0, child] { try family.spaces[index].fault(.zero, .read) }
    return (family, child)
  }

  @Test(arguments: [0, 1])
  func `a write that has to split a superpage fails where the pmap cannot`(index: Int) throws {
    let (family, _) = try makeFamily()
    #expect(family.pmaps[index].mappings[0].frames.count == PageCount(512))
    let free = family.machine.allocator.occupancy.free
    let address = family.machine.address(100)
    family.pmaps[index].allowSplits(false)
    #expect(failure { try family.spaces[index].fault(address, .write) }?.code == .resourceShortage)
    #expect(family.machine.allocator.occupancy.free == free)
    #expect(family.pmaps[index].demotions == 0)
    #expect(family.problems == [])
    family.pmaps[index].allowSplits(true)
    try family.write(index, 100, 7)
    #expect(try family.byte(index, 100) == 7 && family.byte(1 - index, 100) == 101)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases, [0, 1])
  func `a wire that has to split a superpage fails where the pmap cannot`(
    path: WirePath, index: Int
  ) throws {
    let (family, _) = try makeFamily()
    let part = family.machine.range(100..<140)
    let entries = family.spaces[index].entryViews.map(\.range)
    family.pmaps[index].allowSplits(false)
    let error = failure { try family.spaces[index].wire(part, path.options) }
    #expect(error?.code == .resourceShortage && error?.address != nil)
    #expect(family.spaces[index].entryViews.map(\.range) == entries)
    #expect(family.machine.wiredLimit.current == .zero)
    #expect(family.problems == [])
    family.pmaps[index].allowSplits(true)
    try family.spaces[index].wire(part, path.options)
    for page in 100..<140 as Range<UInt64> {
      #expect(try family.byte(index, page) == UInt8(page % 200 + 1))
    }
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases)
  func `a part that cannot be wired leaves its entry whole`(path: WirePath) throws {
    let (family, child) = try makeFamily()
    let space = family.spaces[child]
    let part = family.machine.range(10..<20)
    for free in 0..<10 as Range<UInt64> {
      let error = family.machine.withFree(free) { failure { try space.wire(part, path.options) } }
      #expect(error?.code == .resourceShortage, "\(free) free")
      #expect(space.entryViews.count == 1, "\(free) free")
    }
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }
}
