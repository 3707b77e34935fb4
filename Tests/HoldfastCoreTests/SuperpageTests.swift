import HoldfastCore
import HoldfastTestKit
import Testing

/// Behaviours 15, 16, 22 and 23: what is mapped by superpages.
struct SuperpageTests {
  private func sizes(_ pmap: CheckingPmap) -> [UInt64: Int] {
    Dictionary(grouping: pmap.mappings, by: { $0.frames.count.rawValue }).mapValues(\.count)
  }

  private static let gibibyte = UInt64(1) << 18

  @Test func `ten aligned gibibytes are ten translations`() throws {
    let pages = 10 * Self.gibibyte
    for named in [false, true] {
      let stage = Stage(pages: pages, frames: pages, dirty: false)
      let range = Self.gibibyte * 3..<Self.gibibyte * 13
      if named { try stage.map(range) } else { try stage.space.map(at: stage.machine.range(range)) }
      let summary = try stage.space.wire(stage.machine.range(range))
      #expect(sizes(stage.pmap) == [Self.gibibyte: 10])
      #expect(summary.fragmented == .zero && summary.zeroedAhead == PageCount(pages))
      #expect(stage.machine.allocator.occupancy.free == .zero)
      #expect((named ? stage.problems : stage.anonymousProblems) == [])
      try stage.expectNothingLeft()
    }
  }

  @Test func `ten gibibytes that are aligned to 2 MiB are 5,120 translations or fewer`() throws {
    let pages = 10 * Self.gibibyte
    // An address and an offset that differ by 2 MiB modulo a gibibyte.
    let stage = Stage(pages: pages, frames: pages, dirty: false)
    let range = Self.gibibyte + 512..<Self.gibibyte * 11 + 512
    try stage.map(range)
    #expect(stage.wire(range, .user, .prefault) == nil)
    #expect(sizes(stage.pmap) == [512: 5120])
    #expect(stage.problems == [])
    try stage.expectNothingLeft()
    // An unaligned head and tail: of 2 MiB before and behind the gibibytes, of base pages outside.
    let second = Stage(pages: pages + 2048, frames: pages + Self.gibibyte, dirty: false)
    let odd = Self.gibibyte - 512 - 5..<Self.gibibyte * 10 + 1024 + 7
    try second.space.map(at: second.machine.range(odd))
    #expect(second.wire(odd, .user, .prefault) == nil)
    #expect(sizes(second.pmap) == [1: 12, 512: 3, Self.gibibyte: 9])
    #expect(second.anonymousProblems == [])
    try second.expectNothingLeft()
  }

  @Test func `base pages of 2 MiB and of 1 GiB are entered too`() throws {
    for (geometry, expected) in [
      (Geometry.large, [UInt64(512): 9, 1: 512 + 3]), (.giant, [1: 10]),
    ] {
      let pages: UInt64 = geometry == .large ? 10 * 512 + 3 : 10
      let machine = Machine(geometry: geometry, frames: 11 * 512, dirty: false)
      let (space, pmap) = machine.makeSpace()
      let range = geometry == .large ? machine.range(500..<500 + pages) : machine.range(3..<13)
      try space.map(at: range)
      try space.wire(range)
      #expect(sizes(pmap) == expected)
      #expect(machine.problems(in: space, pmap) == [])
      try space.remove(range)
      #expect(machine.allocator.occupancy.free == PageCount(11 * 512))
    }
  }

  @Test(arguments: WirePath.allCases)
  func `an unaligned head and tail are base pages`(path: WirePath) throws {
    for named in [false, true] {
      let stage = Stage(pages: 4096)
      let range = 507..<512 * 5 + 7 as Range<UInt64>
      if named {
        try stage.map(range, offset: range.lowerBound)
      } else {
        try stage.space.map(at: stage.machine.range(range))
      }
      #expect(stage.wire(range, .user, path) == nil)
      // The fault path enters page by page; the frames are contiguous nevertheless.
      let inPlace = stage.pmap.mappings.filter {
        let page = $0.address.rawValue >> 12
        return page >= 512 && page < 512 * 5 && $0.frames.start.rawValue % 512 == page % 512
      }
      if path == .prefault {
        #expect(sizes(stage.pmap) == [1: 12, 512: 4])
        #expect(inPlace.count == 4)
      } else {
        #expect(sizes(stage.pmap) == [1: 12 + 4 * 512])
        #expect(inPlace.count == 4 * 512)
      }
      if named {
        // A fault then finds whole superpages.
        #expect(stage.unwire(range) == nil)
        try stage.space.fault(stage.machine.address(1000), .read)
        #expect(stage.pmap.mapping(at: stage.machine.address(1023))?.frames.count == PageCount(512))
      }
      #expect((named ? stage.problems : stage.anonymousProblems) == [])
      try stage.expectNothingLeft()
    }
  }

  @Test(arguments: WirePath.allCases)
  func `where address and offset differ in alignment, base pages have the right contents`(
    path: WirePath
  ) throws {
    let stage = Stage(pages: 2048)
    let (other, otherPmap) = stage.machine.makeSpace()
    // One page off in the first space, in place in the second.
    try stage.map(512..<512 + 1500, offset: 1)
    try other.map(stage.object, at: stage.machine.range(512..<512 + 2048))
    #expect(stage.wire(512..<512 + 1500, .user, path) == nil)
    #expect(sizes(stage.pmap) == [1: 1500])
    for page in stride(from: UInt64(1), to: 1500, by: 97) {
      let bytes = [UInt8(page & 0xFF), UInt8(page >> 8), 0xC3]
      try stage.space.write(bytes, at: stage.machine.address(511 + page))
      #expect(try other.read(stage.machine.address(512 + page), count: 3) == bytes)
    }
    try other.wire(stage.machine.range(512..<512 + 2048), path.options)
    for page in stride(from: UInt64(1), to: 1500, by: 97) {
      let bytes = [UInt8(page & 0xFF), UInt8(page >> 8), 0xC3, 0]
      #expect(try other.read(stage.machine.address(512 + page), count: 4) == bytes)
      #expect(try stage.space.read(stage.machine.address(511 + page), count: 4) == bytes)
    }
    #expect(sizes(otherPmap)[512] == (path == .prefault ? 2 : nil))
    #expect(stage.problems == [] && otherPmap.violations == [])
    try other.remove(other.bounds)
    try stage.expectNothingLeft()
  }

  @Test func `superpages are used first although fragments are free`() throws {
    for dirty in [false, true] {
      let stage = Stage(pages: 4096, frames: 512 * 8, dirty: dirty)
      // Every other frame of the first 2 MiB is taken, so that the rest of it is fragments.
      let taken = stride(from: UInt64(0), to: 512, by: 2).compactMap {
        stage.machine.allocator.allocate(Frame($0))
      }
      try stage.map(1024..<1024 + 512 * 7 + 256)
      let summary = try stage.space.wire(stage.machine.range(1024..<1024 + 512 * 7 + 256))
      #expect(sizes(stage.pmap) == [512: 7, 1: 256])
      // Then the fragments serve, rather than fail.
      #expect(summary.fragmented > .zero)
      #expect(stage.machine.allocator.occupancy.free == .zero)
      #expect(stage.problems == [])
      try stage.space.remove(stage.space.bounds)
      for one in taken { stage.machine.allocator.free(one.run, zeroed: false) }
      try stage.expectNothingLeft()
    }
  }

  @Test(arguments: WirePath.allCases)
  func `partly unwiring a superpage splits it with no frame free`(path: WirePath) throws {
    let stage = Stage(pages: 1024, frames: 1024)
    try stage.map(0..<1024)
    #expect(stage.wire(0..<1024, .user, path) == nil)
    #expect(stage.machine.allocator.occupancy.free == .zero)
    #expect(stage.unwire(100..<200) == nil)
    #expect(stage.pmap.demotions == (path == .prefault ? 1 : 0))
    #expect(stage.wiredInPmap == 924)
    #expect(sizes(stage.pmap)[512] == (path == .prefault ? 1 : nil))
    #expect(stage.wireCounts == [1, 0, 1])
    #expect(stage.problems == [])
    try stage.space.write([1], at: stage.machine.address(150))
    #expect(stage.unwire(0..<100) == nil)
    #expect(stage.unwire(200..<1024) == nil)
    #expect(stage.wiredInPmap == 0)
    // The pages are alike again: one run a superpage.
    var runs: [UInt64] = []
    stage.object.forEachResident(in: PageRange(from: .zero, to: PageIndex(1024))) { range, state in
      #expect(state.wireCount == 0 && state.isValid && !state.isBusy)
      runs.append(range.count.rawValue)
    }
    #expect(runs == [512, 512])
    #expect(stage.wire(0..<1024, .user, path) == nil)
    #expect(stage.problems == [])
    #expect(try stage.space.read(stage.machine.address(150), count: 2) == [1, 0])
    try stage.expectNothingLeft()
  }

  @Test func `a gibibyte splits no further than it must`() throws {
    let stage = Stage(pages: Self.gibibyte, frames: Self.gibibyte, dirty: false)
    try stage.map(0..<Self.gibibyte)
    #expect(stage.wire(0..<Self.gibibyte, .user, .prefault) == nil)
    #expect(sizes(stage.pmap) == [Self.gibibyte: 1])
    #expect(stage.unwire(1024..<1536) == nil)
    #expect(sizes(stage.pmap) == [512: 512])
    #expect(stage.unwire(2048..<2049) == nil)
    #expect(sizes(stage.pmap) == [512: 511, 1: 512])
    #expect(stage.wiredInPmap == Self.gibibyte - 513)
    #expect(stage.problems == [])
    try stage.space.protect(stage.machine.range(5000..<5001), .read)
    #expect(stage.problems == [])
    // Removing a part takes its translations; a shared object keeps the pages.
    try stage.space.remove(stage.machine.range(3..<7))
    #expect(stage.problems == [])
    #expect(stage.object.residentCount == PageCount(Self.gibibyte))
    try stage.expectNothingLeft()
  }

  @Test func `pages in contiguous frames are entered as one run`() throws {
    let stage = Stage(pages: 16, frames: 64)
    try stage.map(0..<16)
    for page in 0..<16 as Range<UInt64> {
      try stage.space.fault(stage.machine.address(page), .write)
    }
    let calls = stage.pmap.calls
    // What a failed call has left of the translation is removed with it.
    stage.pmap.fail(at: 0)
    #expect(stage.wire(0..<16, .user, .prefault)?.code == .resourceShortage)
    #expect(stage.pmap.calls == calls + 1)
    #expect(stage.problems == [])
    stage.pmap.fail(at: nil)
    #expect(stage.wire(0..<16, .user, .prefault) == nil)
    #expect(stage.pmap.calls == calls + 2)
    #expect(stage.problems == [])
    try stage.expectNothingLeft()
  }

  @Test func `a single page gets the frame beside its neighbor's`() throws {
    let stage = Stage(pages: 8, frames: 64)
    let allocator = stage.machine.allocator
    let held = (0..<64 as Range<UInt64>).compactMap { allocator.allocate(Frame($0))?.run }
    try #require(held.count == 64)
    allocator.free(FrameRun(Frame(56), PageCount(8)), zeroed: false)
    try stage.map(0..<8)
    try stage.space.fault(.zero, .write)
    #expect(stage.object.state(of: .zero)?.frame == Frame(56))
    // From here on there are single frames too, which would do for single pages.
    let single = held.filter { $0.start.rawValue < 40 && $0.start.rawValue % 2 == 0 }
    for run in single { allocator.free(run, zeroed: false) }
    for page in 1..<8 as Range<UInt64> {
      try stage.space.fault(stage.machine.address(page), .write)
      #expect(stage.object.state(of: PageIndex(page))?.frame == Frame(56 + page))
    }
    for run in held.prefix(56) where !single.contains(run) { allocator.free(run, zeroed: false) }
    try stage.expectNothingLeft()
  }

  @Test func `protecting prepares the split of a superpage between two entries`() throws {
    let stage = Stage(pages: 512)
    let range = stage.machine.range(0..<512)
    try stage.map(0..<512)
    #expect(stage.wire(0..<512, .system, .prefault) == nil)
    #expect(stage.wire(0..<300, .user, .prefault) == nil)
    #expect(stage.pmap.mappings.count == 1)
    stage.pmap.allowSplits(false)
    let error = failure { try stage.space.protect(range, .read) }
    #expect(error?.code == .resourceShortage)
    #expect(stage.space.entryViews.allSatisfy { $0.protection == .readWrite })
    stage.pmap.allowSplits(true)
    try stage.space.protect(range, .read)
    #expect(stage.pmap.violations == [] && stage.problems == [])
    try stage.space.remove(range)
    try stage.expectNothingLeft()
  }

  @Test func `unmapping prepares splits, and splits no superpage between two entries`() throws {
    let stage = Stage(pages: 512)
    try stage.map(0..<512)
    #expect(stage.wire(0..<512, .system, .prefault) == nil)
    // Two entries from here on, and still one translation.
    #expect(stage.wire(0..<300, .user, .prefault) == nil)
    #expect(stage.pmap.mappings.count == 1)
    stage.pmap.allowSplits(false)
    for part in [0..<300, 300..<512, 1..<512, 0..<400] as [Range<UInt64>] {
      let error = failure { try stage.space.remove(stage.machine.range(part)) }
      #expect(error?.code == .resourceShortage && stage.space.entryViews.count == 2)
    }
    // No part of the superpage stays.
    try stage.space.remove(stage.machine.range(0..<512))
    #expect(stage.pmap.violations == [] && stage.problems == [] && stage.pmap.demotions == 0)
    try stage.expectNothingLeft()
  }
}
