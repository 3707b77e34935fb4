import HoldfastCore
import HoldfastTestKit
import Testing

/// Behaviours 17, 18 and 20: the memory that a child and its parent share, and the copies.
struct ForkTests {
  @Test func `a child has the parent's contents, and neither sees what the other writes later`()
    throws
  {
    let family = try Family(pages: 0..<40, frames: 512)
    for page in 0..<30 as Range<UInt64> { try family.write(0, page, UInt8(page + 1)) }
    let child = try family.fork(0)
    for page in 0..<40 as Range<UInt64> {
      #expect(try family.byte(child, page) == (page < 30 ? UInt8(page + 1) : 0))
    }
    try family.write(0, 3, 100)
    try family.write(child, 4, 101)
    try family.write(child, 35, 102)
    try family.write(0, 36, 103)
    for (page, parent, other) in [
      (3, 100, 4), (4, 5, 101), (5, 6, 6), (35, 0, 102), (36, 103, 0),
    ] as [(UInt64, UInt8, UInt8)] {
      #expect(try family.byte(0, page) == parent && family.byte(child, page) == other)
    }
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `a fork takes no frames, whatever is resident, and its cost is entries`() throws {
    let family = try Family(pages: 0..<2048, frames: 8192)
    try family.spaces[0].wire(family.machine.range(0..<2048))
    try family.spaces[0].unwire(family.machine.range(0..<2048))
    let free = family.machine.allocator.occupancy.free
    let calls = family.pmaps[0].calls
    let child = try family.fork(0)
    #expect(family.machine.allocator.occupancy.free == free)
    #expect(family.pmaps[0].calls == calls && family.pmaps[child].calls == 0)
    // Superpages stay whole in the parent, read-only, until it writes.
    #expect(family.pmaps[0].mappings.contains { $0.frames.count == PageCount(512) })
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `inheritance decides: the same memory, a copy, or nothing`() throws {
    let machine = Machine(frames: 256, dirty: true)
    let family = Family(machine)
    let space = family.spaces[0]
    for (start, inheritance) in [(0, .share), (10, .copy), (20, .none)] as [(UInt64, Inheritance)] {
      try space.map(at: machine.range(start..<start + 10), inheritance: inheritance)
      try family.write(0, start, 7)
    }
    let child = try family.fork(0)
    #expect(family.spaces[child].entryViews.map(\.range) == [0..<10, 10..<20].map(machine.range))
    try family.write(child, 0, 8)
    try family.write(child, 10, 9)
    try family.write(0, 5, 10)
    #expect(try family.byte(0, 0) == 8 && family.byte(0, 10) == 7)
    #expect(try family.byte(child, 5) == 10 && family.byte(child, 10) == 9)
    #expect(failure { _ = try family.byte(child, 20) }?.code == .invalidAddress)
    // A guard, and memory that was never accessed, which is shared too.
    try space.map(at: machine.range(40..<50), protection: [], inheritance: .share)
    try space.map(at: machine.range(60..<70), inheritance: .share)
    let other = try family.fork(0)
    try family.write(other, 65, 11)
    #expect(try family.byte(0, 65) == 11)
    #expect(failure { _ = try family.byte(other, 45) }?.code == .protectionFailure)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases)
  func `a fork copies a wired writable range, and the parent takes no faults`(
    path: WirePath
  ) throws {
    let family = try Family(pages: 500..<1100, frames: 4096)
    let range = family.machine.range(500..<1100)
    try family.spaces[0].wire(range, path.options)
    for page in [500, 600, 1099] as [UInt64] { try family.write(0, page, UInt8(page % 251)) }
    let before = family.pmaps[0].mappings
    let child = try family.fork(0)
    #expect(family.pmaps[0].mappings == before)
    #expect(family.pmaps[child].mappings.isEmpty)
    #expect(family.spaces[child].entryViews.allSatisfy { !$0.isWired && !$0.needsCopy })
    #expect(family.machine.allocator.occupancy.free == PageCount(4096 - 1200))
    for page in [500, 600, 1099, 700] as [UInt64] {
      #expect(try family.byte(child, page) == (page == 700 ? 0 : UInt8(page % 251)))
    }
    try family.write(0, 600, 1)
    try family.write(child, 601, 2)
    #expect(try family.byte(child, 600) == UInt8(600 % 251) && family.byte(0, 601) == 0)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `a fork without frames for the copies leaves the parent as it was`() throws {
    let family = try Family(pages: 0..<20, frames: 128)
    let range = family.machine.range(10..<20)
    for page in 0..<20 as Range<UInt64> { try family.write(0, page, 5) }
    try family.spaces[0].wire(range)
    let before = family.machine.snapshot(of: family.spaces)
    for free in 0..<10 as Range<UInt64> {
      let error = family.machine.withFree(free) { failure { _ = try family.fork(0) } }
      #expect(error?.code == .resourceShortage)
      #expect(error?.address == family.machine.address(10 + free))
      #expect(family.machine.snapshot(of: family.spaces) == before)
      #expect(family.problems == [])
    }
    try family.write(0, 3, 6)
    let child = try family.machine.withFree(10) { try family.fork(0) }
    #expect(try family.byte(child, 3) == 6 && family.byte(child, 15) == 5)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `a fork of too many generations fails until one of them ends`() throws {
    let family = try Family(pages: 0..<16, frames: 2048)
    // Each has one of two pages, so that all are seen and no look-up goes deep.
    for page in 3..<5 as Range<UInt64> { try family.write(0, page, 1) }
    var count = 0
    var last = 0
    let error = failure {
      while count < 2048 {
        last = try family.fork(last)
        try family.write(last, 3 + UInt64(count & 1), 1)
        count += 1
      }
    }
    #expect(error?.code == .resourceShortage && error?.advice != nil)
    #expect(error?.reason.contains("1024 generations") == true)
    #expect(count == 1023)
    #expect(try family.byte(last, 3) == 1)
    try family.end(last - 1)
    #expect(try family.byte(try family.fork(last), 3) == 1)
    for index in family.living { try family.end(index) }
    #expect(family.machine.allocator.occupancy.free == PageCount(2048))
  }

  @Test func `generations of children are independent, in any order of ends`() throws {
    for seed in 0..<8 as Range<UInt64> {
      var random = SeededGenerator(seed: seed)
      let family = try Family(pages: 0..<12, frames: 512)
      var expected: [[UInt8]] = [Array(repeating: 0, count: 12)]
      for round in 1...60 as ClosedRange<UInt8> {
        let living = family.living
        let index = living.randomElement(using: &random)!
        switch Int.random(in: 0..<8, using: &random) {
        case 0 where living.count < 6:
          let child = try family.fork(index)
          #expect(child == expected.count)
          expected.append(expected[index])
        case 1 where living.count > 1: try family.end(index)
        default:
          let page = UInt64.random(in: 0..<12, using: &random)
          try family.write(index, page, round)
          expected[index][Int(page)] = round
        }
        for index in family.living {
          for page in 0..<12 as Range<UInt64> {
            #expect(try family.byte(index, page) == expected[index][Int(page)])
          }
        }
        let problems = family.problems
        try #require(problems == [], "seed \(seed), round \(round)")
      }
      try family.expectNothingLeft()
    }
  }

  @Test func `a map entry that is wired for reading is copied by a fork and stays wired`() throws {
    let family = try Family(pages: 0..<10, frames: 128)
    let range = family.machine.range(0..<10)
    for page in 0..<10 as Range<UInt64> { try family.write(0, page, UInt8(page)) }
    try family.spaces[0].protect(range, .read)
    try family.spaces[0].wire(range)
    let free = family.machine.allocator.occupancy.free
    let child = try family.fork(0)
    #expect(family.machine.allocator.occupancy.free + PageCount(10) == free)
    try family.spaces[child].protect(range, .readWrite)
    try family.write(child, 4, 99)
    #expect(try family.byte(0, 4) == 4)
    // A wired page is never shared, so the parent's becomes writable without a copy.
    try family.machine.withFree(0) { try family.spaces[0].protect(range, .readWrite) }
    try family.write(0, 5, 98)
    #expect(try family.byte(child, 5) == 5)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `the end of an older child shortens a chain that was forked again`() throws {
    let family = try Family(pages: 0..<8, frames: 128)
    let address = family.machine.address(0)
    for page in 0..<8 as Range<UInt64> { try family.write(0, page, 1) }
    let older = try family.fork(0)
    for page in 0..<4 as Range<UInt64> { try family.write(0, page, 2) }
    let younger = try family.fork(0)
    #expect(family.spaces[0].object(at: address)?.chain.count == 3)
    try family.end(older)
    // The oldest object has no other user, so its pages move up, and four of them are free.
    for index in [0, younger] {
      #expect(family.spaces[index].object(at: address)?.chain.count == 2)
    }
    #expect(family.machine.allocator.occupancy.free == PageCount(128 - 8))
    #expect(try family.byte(younger, 0) == 2 && family.byte(younger, 7) == 1)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }
}
