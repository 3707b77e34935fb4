import HoldfastCore
import HoldfastTestKit
import Testing

/// Behaviours 13, 14 and 17: the contents of wired pages.
struct ContentsTests {
  @Test(arguments: WirePath.allCases, WirePath.allCases)
  func `every byte is zero although the frames were another guest's`(
    first: WirePath, second: WirePath
  ) throws {
    // Zeroed and dirty frames in turn: the first guest has had half of them.
    for pages in [700, 1500] as [UInt64] {
      let machine = Machine(frames: 2048, dirty: false)
      let (one, onePmap) = machine.makeSpace()
      try one.map(at: machine.range(512..<512 + pages))
      try one.wire(machine.range(512..<512 + pages), first.options)
      for mapping in onePmap.mappings { machine.store.soil(mapping.frames, with: 0xA5) }
      try one.write([1, 2, 3], at: machine.address(600))
      try one.remove(machine.range(600..<900))
      try one.remove(machine.range(0..<4096))
      #expect(machine.allocator.occupancy.free == PageCount(2048))
      #expect(machine.allocator.occupancy.zeroed <= PageCount(2048 - pages))

      let (two, twoPmap) = machine.makeSpace()
      let range = machine.range(3..<3 + 2048)
      try two.map(at: range)
      let summary = try two.wire(range, second.options)
      #expect(twoPmap.mappings.allSatisfy { machine.store.isZero($0.frames) })
      #expect(summary.zeroedNow >= PageCount(pages))
      #expect(summary.zeroedAhead + summary.zeroedNow == PageCount(2048))
      let bytes = try two.read(machine.address(600) - ByteCount(4), count: 1 << 16)
      #expect(bytes.allSatisfy { $0 == 0 })
      #expect(machine.problems(in: two, twoPmap) == [])
      try two.remove(range)
      #expect(machine.allocator.occupancy.free == PageCount(2048))
    }
  }

  @Test(arguments: WirePath.allCases)
  func `no frame is entered before it is zero`(path: WirePath) throws {
    for pages in [512 + 300, 3] as [UInt64] {
      let stage = Stage(pages: 2048, frames: 2048)
      let found = ConcurrentFailures()
      let store = stage.machine.store
      stage.pmap.beforeEntering { run, address in
        if !store.isZero(run) { found.report("\(run) is entered at \(address) with garbage") }
      }
      try stage.map(0..<1024)
      #expect(stage.wire(0..<pages, .user, path) == nil)
      try stage.space.fault(stage.machine.address(pages), .read)
      try stage.space.write([0], at: stage.machine.address(pages + 100))
      try stage.space.fault(stage.machine.address(pages + 100), .write)
      #expect(found.all == [])
      #expect(stage.pmap.calls >= 2)
      try stage.expectNothingLeft()
    }
  }

  @Test(arguments: WirePath.allCases)
  func `frames that a failed wire freed are zeroed again`(path: WirePath) throws {
    let stage = Stage(pages: 40, frames: 64, dirty: false)
    try stage.map(0..<20)
    try stage.map(30..<40, offset: 20, .read)
    try stage.space.write([1], at: stage.machine.address(3))
    // The wire reaches the hole when the pages before it are entered and the guest may write them.
    stage.pmap.fail(at: 7)
    _ = stage.wire(0..<40, .user, path)
    stage.pmap.fail(at: nil)
    #expect(stage.snapshot.free == PageCount(63))
    let zeroed = stage.machine.allocator.occupancy.zeroed
    #expect(zeroed < PageCount(63))
    #expect(stage.wire(0..<40, .holesOK, path) == nil)
    #expect(try stage.space.read(stage.machine.address(3), count: 2) == [1, 0])
    try stage.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases, WirePath.allCases)
  func `each page is wired once, valid, not busy and mapped wired`(
    first: WirePath, second: WirePath
  ) throws {
    let stage = Stage(pages: 2048)
    try stage.map(500..<1600, offset: 500)
    #expect(stage.wire(500..<1000, .user, first) == nil)
    #expect(stage.wire(500..<1600, .user, second) == nil)
    #expect(stage.wire(500..<1600, .user, first) == nil)
    let pages = stage.machine.pages(of: stage.object, frames: false)
    #expect(pages.count == 1)
    let all = try #require(pages.first)
    #expect(all.range == PageRange(from: PageIndex(500), to: PageIndex(1600)))
    #expect(all.isValid && !all.isBusy && all.wireCount == 1)
    #expect(stage.wiredInPmap == 1100)
    #expect(stage.problems == [])
    // A second space that maps the same object finds the same contents.
    let (other, pmap) = stage.machine.makeSpace()
    try other.map(stage.object, offset: PageIndex(500), at: stage.machine.range(500..<1600))
    let summary = try other.wire(stage.machine.range(500..<1600), second.options)
    #expect(summary.residentBefore == PageCount(1100) && summary.zeroedNow == .zero)
    #expect(stage.wireCounts == [2])
    #expect(pmap.violations == [])
    try other.remove(other.bounds)
    #expect(stage.wireCounts == [1])
    try stage.expectNothingLeft()
  }

  @Test(
    arguments: WirePath.allCases,
    [[0], [511], [510, 511], [0, 511, 512, 1023], [100, 200, 700], [1035]] as [[UInt64]])
  func `resident pages keep their contents and frames`(
    path: WirePath, resident: [UInt64]
  ) throws {
    for touched in [false, true] {
      let stage = Stage(pages: 1036)
      try stage.map(0..<1036)
      for page in resident {
        try stage.space.write([UInt8(page & 0x7F) | 1, 9], at: stage.machine.address(page))
        if touched { try stage.space.fault(stage.machine.address(page), .write) }
      }
      let frames = resident.map { stage.object.state(of: PageIndex($0))?.frame }
      let summary = try stage.space.wire(stage.machine.range(0..<1036), path.options)
      let count = PageCount(UInt64(resident.count))
      #expect(summary.residentBefore == count)
      #expect(summary.zeroedAhead + summary.zeroedNow == PageCount(1036) - count)
      #expect(resident.map { stage.object.state(of: PageIndex($0))?.frame } == frames)
      for page in resident {
        #expect(
          try stage.space.read(stage.machine.address(page), count: 3)
            == [UInt8(page & 0x7F) | 1, 9, 0])
      }
      #expect(stage.wiredInPmap == 1036)
      #expect(stage.problems == [])
      #expect(stage.snapshot.free == stage.total - PageCount(1036))
      try stage.expectNothingLeft()
    }
  }

  @Test(arguments: WirePath.allCases)
  func `an object mapped twice by one space is wired by one call`(path: WirePath) throws {
    let stage = Stage(pages: 600)
    try stage.map(0..<600)
    try stage.map(1000..<1600, offset: 0, .read)
    try stage.map(1600..<1610, offset: 590)
    let done = runThreads(1, seconds: 10) { _ in
      #expect(stage.wire(0..<1610, .holesOK, path) == nil)
    }
    try #require(done, "the operation waits for itself")
    #expect(stage.wiredInPmap == 600 + 600 + 10)
    #expect(stage.wireCounts == [2, 3])
    #expect(stage.problems == [])
    #expect(stage.unwire(0..<1610, .holesOK) == nil)
    try stage.space.write([3], at: stage.machine.address(1600))
    #expect(try stage.space.read(stage.machine.address(590), count: 2) == [3, 0])
    try stage.expectNothingLeft()
  }

  @Test func `frames that a guest may have written to ahead are not freed as zeroed`() throws {
    let stage = Stage(pages: 8, frames: 64, dirty: false)
    try stage.map(0..<8)
    stage.pmap.fail(at: 3)
    #expect(stage.wire(0..<8, .user, .fault) != nil)
    stage.pmap.fail(at: nil)
    let left = stage.machine.allocator.occupancy
    #expect(left.free == PageCount(64) && left.zeroed == PageCount(64 - 8))
    // The same for the frame of a fault, which was one of the zeroed frames.
    stage.pmap.fail(at: 0)
    #expect(failure { try stage.space.fault(.zero, .write) } != nil)
    stage.pmap.fail(at: nil)
    #expect(stage.machine.allocator.occupancy.zeroed == PageCount(64 - 9))
    try stage.expectNothingLeft()
  }
}
