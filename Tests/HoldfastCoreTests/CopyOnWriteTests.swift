import HoldfastCore
import HoldfastTestKit
import Testing

/// Behaviours 17 to 19: wiring memory that is shared copy-on-write.
struct CopyOnWriteTests {
  /// A parent and a child of 20 pages, of which the first 10 hold their number and one.
  private func makeFamily(frames: UInt64 = 256) throws -> (Family, child: Int, AddressRange) {
    let family = try Family(pages: 0..<20, frames: frames)
    for page in 0..<10 as Range<UInt64> { try family.write(0, page, UInt8(page + 1)) }
    return (family, try family.fork(0), family.machine.range(0..<20))
  }

  @Test(arguments: WirePath.allCases, [0, 1])
  func `wiring writable memory makes private copies, and later writes do not fault`(
    path: WirePath, index: Int
  ) throws {
    let (family, child, range) = try makeFamily()
    let summary = try family.spaces[index].wire(range, path.options)
    #expect(summary.copied == PageCount(10))
    #expect(summary.zeroedNow + summary.zeroedAhead == PageCount(10))
    let mappings = family.pmaps[index].mappings
    #expect(mappings.allSatisfy { $0.isWired && $0.protection == .readWrite })
    for page in 0..<20 as Range<UInt64> { try family.write(index, page, 200) }
    #expect(family.pmaps[index].mappings == mappings)
    for page in 0..<20 as Range<UInt64> {
      #expect(try family.byte(1 - index, page) == (page < 10 ? UInt8(page + 1) : 0))
    }
    #expect(family.problems == [])
    try family.end(index)
    #expect(try family.byte(index == 0 ? child : 0, 3) == 4)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases, [WireOptions.user, .system])
  func `a wire for reading copies the pages below too, and their wiring stays with them`(
    path: WirePath, options: WireOptions
  ) throws {
    let (family, child, range) = try makeFamily()
    let space = family.spaces[child]
    let part = family.machine.range(0..<10)
    try space.protect(part, .read)
    let error = family.machine.withFree(9) {
      failure { try space.wire(part, [options, path.options]) }
    }
    #expect(error?.code == .resourceShortage && family.problems == [])
    let summary = try space.wire(part, [options, path.options])
    #expect(summary.copied == PageCount(10))
    // The parent writes, which leaves the wired pages alone.
    for page in 0..<10 as Range<UInt64> { try family.write(0, page, 77) }
    #expect(try family.byte(child, 9) == 10)
    // The parent ends, and the memory becomes writable: neither moves a wired page.
    let before = family.pmaps[child].mappings.map(\.frames)
    try family.end(0)
    #expect(family.problems == [])
    try family.machine.withFree(0) { try space.protect(part, .readWrite) }
    let after = family.pmaps[child].mappings
    #expect(after.allSatisfy { $0.isWired && $0.protection == .readWrite })
    #expect(after.map(\.frames) == before && family.problems == [])
    try space.unwire(part, options)
    #expect(family.problems == [])
    #expect(try family.byte(child, 9) == 10)
    try space.remove(range)
    try family.expectNothingLeft()
  }

  @Test func `a translation of the page below does not outlive the copy`() throws {
    let (family, child, _) = try makeFamily()
    // Both guests read first, so that they have translations of the same frames.
    for page in 0..<10 as Range<UInt64> {
      try family.spaces[0].fault(family.machine.address(page), .read)
      try family.spaces[child].fault(family.machine.address(page), .read)
    }
    #expect(family.pmaps[0].mappings.map(\.frames) == family.pmaps[child].mappings.map(\.frames))
    #expect(family.pmaps[0].mappings.allSatisfy { !$0.protection.contains(.write) })
    // By copy-in too, which enters nothing.
    try family.spaces[child].write([9], at: family.machine.address(2) + ByteCount(9))
    #expect(try family.byte(child, 2) == 9 && family.byte(0, 2) == 3)
    #expect(family.problems == [])
    try family.spaces[child].write([7], at: family.machine.address(3) + ByteCount(9))
    try family.write(0, 2, 8)
    #expect(try family.byte(child, 2) == 9 && family.byte(0, 3) == 4)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `an object mapped copy-on-write is never written`() throws {
    let machine = Machine(frames: 256, dirty: true)
    let family = Family(machine)
    let object = MemoryObject(memory: machine.memory, size: PageCount(16))
    family.handles = [object]
    let other = family.addSpace()
    try family.spaces[0].map(object, at: machine.range(0..<16))
    for page in 0..<16 as Range<UInt64> { try family.write(0, page, 3) }
    try family.spaces[other].map(
      object, offset: PageIndex(4), at: machine.range(100..<110), copyOnWrite: true)
    try family.write(other, 103, 4)
    try family.spaces[other].wire(machine.range(105..<110))
    try family.write(other, 106, 5)
    #expect(try family.byte(0, 7) == 3 && family.byte(0, 10) == 3)
    #expect(try family.byte(other, 103) == 4 && family.byte(other, 106) == 5)
    #expect(try family.byte(other, 104) == 3)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `memory that a fork shares after it was mapped copy-on-write stays shared`() throws {
    for wired in [false, true] {
      let machine = Machine(frames: 256, dirty: true)
      let family = Family(machine)
      let object = MemoryObject(memory: machine.memory, size: PageCount(8))
      family.handles = [object]
      let range = machine.range(0..<8)
      try family.spaces[0].map(object, at: range)
      for page in 0..<8 as Range<UInt64> { try family.write(0, page, 3) }
      let second = family.addSpace()
      try family.spaces[second].map(
        object, at: range, protection: .read, inheritance: .share, copyOnWrite: true)
      if wired { try family.spaces[second].wire(range) }
      let child = try family.fork(second)
      #expect(family.problems == [])
      try family.spaces[child].protect(range, .readWrite)
      let before = family.pmaps[second].mappings
      try family.write(child, 1, 9)
      // Wired pages have been copied by now, and do not move.
      if wired { #expect(family.pmaps[second].mappings == before) }
      try family.spaces[child].wire(range)
      #expect(try family.byte(second, 1) == 9 && family.byte(0, 1) == 3)
      #expect(family.problems == [])
      try family.expectNothingLeft()
    }
  }

  @Test(arguments: WirePath.allCases, [false, true])
  func `copies that a wire makes are seen by all mappings of the same memory`(
    path: WirePath, isReader: Bool
  ) throws {
    let family = Family(Machine(frames: 256, dirty: true))
    let machine = family.machine
    let object = MemoryObject(memory: machine.memory, size: PageCount(8))
    family.handles = [object]
    let range = machine.range(0..<8)
    let maker = family.addSpace()
    try family.spaces[maker].map(object, at: range)
    for page in 0..<8 as Range<UInt64> { try family.write(maker, page, 3) }
    try family.spaces[0].map(object, at: range, inheritance: .share, copyOnWrite: true)
    // Shared from here on, with translations of the pages below.
    let child = try family.fork(0)
    for page in 0..<8 as Range<UInt64> {
      try family.spaces[child].fault(machine.address(page), .read)
    }
    // The pages of a space that may only read are copied too, since the other space may write.
    if isReader { try family.spaces[0].protect(range, .read) }
    let summary = try family.spaces[0].wire(range, path.options)
    #expect(summary.copied == PageCount(8))
    #expect(family.problems == [])
    for page in 0..<8 as Range<UInt64> { try family.write(isReader ? child : 0, page, 4) }
    for page in 0..<8 as Range<UInt64> {
      try family.spaces[child].fault(machine.address(page), .read)
      #expect(try family.byte(child, page) == 4 && family.byte(maker, page) == 3)
    }
    try family.expectNothingLeft()
  }

  @Test func `a new protection does not allow writing to pages that copies share`() throws {
    let (family, child, range) = try makeFamily()
    try family.write(child, 1, 70)
    for index in [0, child] {
      for page in 0..<10 as Range<UInt64> {
        try family.spaces[index].fault(family.machine.address(page), .read)
      }
      try family.spaces[index].protect(range, .read)
      try family.spaces[index].protect(range, .readWrite)
      #expect(family.problems == [])
    }
    try family.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases)
  func `a new page among copies does not map over translations of pages below`(
    path: WirePath
  ) throws {
    let family = try Family(pages: 0..<16, frames: 256)
    for page in 1..<16 as Range<UInt64> where page != 9 { try family.write(0, page, 6) }
    let child = try family.fork(0)
    for page in 1..<16 as Range<UInt64> where page != 9 {
      try family.spaces[child].fault(family.machine.address(page), .read)
    }
    try family.spaces[child].wire(family.machine.range(0..<16), path.options)
    for page in 0..<16 as Range<UInt64> {
      #expect(try family.byte(child, page) == (page % 9 == 0 ? 0 : 6))
    }
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }
}
