import HoldfastCore
import HoldfastTestKit
import Testing

/// Whole superpages from fragments; contents and wired pages stay as they are.
struct CompactionTests {
  private static let superpage: UInt64 = 512

  /// Which superpage blocks have wired pages, by what is resident in objects, and how much of the
  /// others.
  private struct Layout {
    var wired: [UInt64: Int] = [:]
    var movable: [UInt64: Int] = [:]

    init(_ objects: [MemoryObject]) {
      for object in objects {
        object.forEachResident(in: PageRange(start: .zero, count: object.size)) { range, state in
          for page in 0..<range.count.rawValue {
            let block = (state.frame.rawValue + page) / CompactionTests.superpage
            if state.wireCount > 0 {
              wired[block, default: 0] += 1
            } else {
              movable[block, default: 0] += 1
            }
          }
        }
      }
    }

    /// The most superpages that can be whole and free with wired pages where they are.
    func best(of blocks: Int) -> Int {
      let free = blocks - Set(wired.keys).count
      let holes = wired.keys.reduce(0) {
        $0 + Int(CompactionTests.superpage) - wired[$1]! - (movable[$1] ?? 0)
      }
      let pages = movable.reduce(0) { $0 + (wired[$1.key] == nil ? $1.value : 0) }
      return free - (max(0, pages - holes) + 511) / 512
    }
  }

  private func freeSuperpages(_ machine: Machine) -> Int {
    var dirty: [FrameRun] = []
    var held: [FrameAllocator.Allocation] = []
    while let block = machine.allocator.allocate(order: 9, dirty: &dirty) { held.append(block) }
    for block in held { machine.allocator.free(block.run, zeroed: block.isZeroed) }
    return held.count
  }

  @Test func `pages move with their contents, wired ones stay, and superpages become free`() throws
  {
    let family = try Family(pages: 0..<4 * Self.superpage, frames: 8 * Self.superpage)
    let machine = family.machine
    let space = family.spaces[0]
    // Every third page alone; some are copies of a child, and two are wired.
    for page in stride(from: UInt64(0), to: 4 * Self.superpage, by: 3) {
      try family.write(0, page, UInt8(page % 251))
    }
    let child = try family.fork(0)
    for page in stride(from: UInt64(0), to: 4 * Self.superpage, by: 6) {
      try family.write(child, page, UInt8(page % 241))
    }
    for page in [30, 1203] as [UInt64] { try space.wire(machine.range(page..<page + 1)) }
    let wired = try [30, 1203].map { page in
      try #require(family.pmaps[0].mapping(at: machine.address(page))).frames.start
    }
    machine.memory.reservations.breakAll()
    let before = freeSuperpages(machine)

    let summary = machine.memory.compact()
    #expect(summary.superpages > 0 && summary.moved > .zero)
    #expect(freeSuperpages(machine) == before + summary.superpages)
    #expect(family.problems == [])
    for (page, frame) in zip([30, 1203] as [UInt64], wired) {
      #expect(family.pmaps[0].mapping(at: machine.address(page))?.frames.start == frame)
    }
    for page in 0..<4 * Self.superpage {
      #expect(try family.byte(0, page) == (page % 3 == 0 ? UInt8(page % 251) : 0))
      let own = page % 6 == 0 ? UInt8(page % 241) : page % 3 == 0 ? UInt8(page % 251) : 0
      #expect(try family.byte(child, page) == own)
    }
    try family.write(child, 3, 77)
    #expect(try family.byte(0, 3) == 3)
    #expect(family.problems == [])
    // Nothing is left to do.
    machine.memory.reservations.breakAll()
    #expect(machine.memory.compact().superpages == 0)
    try family.expectNothingLeft()
  }

  @Test func `a page that moves while a wire copies it leaves no translation behind`() throws {
    let machine = Machine(frames: 8 * Self.superpage, dirty: true)
    let family = Family(machine)
    let object = MemoryObject(memory: machine.memory, size: PageCount(1024))
    family.handles = [object]
    let range = machine.range(0..<20)
    try family.spaces[0].map(object, at: machine.range(0..<1024))
    for page in 0..<20 as Range<UInt64> { try family.write(0, page, UInt8(page + 1)) }
    // Something to move to.
    let other = family.addSpace()
    try family.spaces[other].map(at: machine.range(0..<512))
    for page in 0..<100 as Range<UInt64> { try family.write(other, page * 3, 9) }
    // A shadow in two spaces, the second of which has a translation of the page below.
    let first = family.addSpace()
    try family.spaces[first].map(object, at: range, inheritance: .share, copyOnWrite: true)
    let second = try family.fork(first)
    let address = machine.address(3)
    try family.spaces[second].fault(address, .read)
    let old = try #require(family.pmaps[second].mapping(at: address)).frames
    let moved = ConcurrentFailures()
    let (memory, pmap) = (machine.memory, family.pmaps[second])
    family.pmaps[first].beforeEntering { _, place in
      guard place == machine.address(10) else { return }
      if memory.compact().moved > .zero { moved.tally() }
      if let mapping = pmap.mapping(at: address) { moved.report("\(mapping) is left") }
    }
    try family.spaces[first].wire(range, .faultPath)
    family.pmaps[first].beforeEntering(nil)
    #expect(moved.operations == 1 && moved.all == [])
    #expect(object.state(of: PageIndex(3))?.frame != old.start)
    #expect(family.problems == [])
    for page in 0..<20 as Range<UInt64> {
      #expect(try family.byte(first, page) == UInt8(page + 1))
      #expect(try family.byte(second, page) == UInt8(page + 1))
    }
    try family.expectNothingLeft()
  }

  @Test func `compaction moves no more than it has to`() throws {
    let stage = Stage(pages: 8 * Self.superpage, frames: 16 * Self.superpage)
    try stage.map(0..<8 * Self.superpage)
    for region in 0..<UInt64(8) {
      for page in 0..<(region + 1) * 10 {
        try stage.space.fault(
          stage.machine.address(region * Self.superpage + page * 2), .write)
      }
    }
    let summary = stage.machine.memory.compact(superpages: 2)
    // The two with the fewest pages.
    #expect(summary.superpages == 2 && summary.moved == PageCount(10 + 20))
    try stage.expectNothingLeft()
  }

  @Test func `a pmap that cannot split keeps its pages where they are`() throws {
    let stage = Stage(pages: 2 * Self.superpage, frames: 8 * Self.superpage)
    try stage.map(0..<2 * Self.superpage)
    try stage.space.wire(stage.machine.range(0..<2 * Self.superpage), .prefault)
    try stage.space.unwire(stage.machine.range(0..<2 * Self.superpage))
    // One page is removed, so that the object has no superpage there but the pmap still has one.
    stage.pmap.allowSplits(false)
    #expect(failure { try stage.space.remove(stage.machine.range(5..<6)) } != nil)
    #expect(stage.machine.memory.compact().moved == .zero)
    #expect(stage.problems == [])
    stage.pmap.allowSplits(true)
    try stage.expectNothingLeft()
  }

  /// Spaces that have nine tenths of the memory, half of it wired, after base pages and superpages
  /// were allocated and freed at random.
  @Test func `after random use of nine tenths, compaction frees as many superpages as fit`() throws
  {
    let steps = SuiteSize.compactionSteps
    let blocks = steps < 100_000 ? 128 : 2048
    let machine = Machine(frames: UInt64(blocks) * Self.superpage)
    let pages = UInt64(blocks) * Self.superpage
    let spaces = try (0..<2).map { _ in
      try AddressSpace(
        bounds: machine.range(0..<pages), memory: machine.memory, pmap: NullPmap())
    }
    for space in spaces { try space.map(at: space.bounds) }
    var random = SeededGenerator(seed: 11)
    var count: UInt64 = 0
    for _ in 0..<steps {
      let which = Int.random(in: 0..<2, using: &random)
      let space = spaces[which]
      let isSuperpage = Int.random(in: 0..<200, using: &random) == 0
      let first = UInt64.random(in: 0..<pages, using: &random)
      let range =
        isSuperpage
        ? machine.range(first & ~511..<(first & ~511) + 512) : machine.range(first..<first + 1)
      let used = pages - machine.memory.available.rawValue
      if used * 10 > pages * 9 {
        // Some blocks of each size are freed.
        let low = first & ~63
        let gone = machine.range(low..<low + (Bool.random(using: &random) ? 512 : 64))
          .clamped(to: space.bounds)
        try space.remove(gone)
        try space.map(at: gone)
      } else if which == 0 {
        _ = failure { try space.wire(range) }
      } else {
        if isSuperpage {
          guard failure({ try space.wire(range) }) == nil else { continue }
          try space.unwire(range)
        } else {
          try space.fault(range.start, .write)
        }
      }
      count += 1
    }
    machine.memory.reservations.breakAll()
    let objects = spaces.flatMap { space in
      space.entryViews.compactMap { space.object(at: $0.range.start) }
    }
    let unique = Dictionary(
      objects.map { (ObjectIdentifier($0), $0) }, uniquingKeysWith: { a, _ in a })
    let layout = Layout(Array(unique.values))
    let best = layout.best(of: blocks)
    let before = freeSuperpages(machine)
    let summary = machine.memory.compact()
    let after = freeSuperpages(machine)
    print(
      "CompactionTests: \(count) steps, \(blocks) superpages, \(before) free before and \(after) "
        + "after compacting, \(best) at best, \(summary.moved.rawValue) pages moved")
    #expect(after == before + summary.superpages)
    #expect(after * 10 >= best * 9 && best > before)
    #expect(Invariants.problems(in: machine.memory, spaces: spaces) == [])
    withExtendedLifetime(spaces) {
      #expect(Layout(Array(unique.values)).wired == layout.wired, "a wired page has moved")
    }
  }
}
