import HoldfastCore
import HoldfastTestKit
import Testing

/// Whole superpages from memory that was used at random. `SuiteSize` says how long.
struct RandomCompactionTests {
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
            let block = (state.frame.rawValue + page) / RandomCompactionTests.superpage
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
        $0 + Int(RandomCompactionTests.superpage) - wired[$1]! - (movable[$1] ?? 0)
      }
      let pages = movable.reduce(0) { $0 + (wired[$1.key] == nil ? $1.value : 0) }
      return free - (max(0, pages - holes) + 511) / 512
    }
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
        _ = try? space.wire(range)
      } else {
        if isSuperpage {
          guard (try? space.wire(range)) != nil else { continue }
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
    let before = machine.freeSuperpages()
    let summary = machine.memory.compact()
    let after = machine.freeSuperpages()
    print(
      "RandomCompactionTests: \(count) steps, \(blocks) superpages, \(before) free before and "
        + "\(after) after compacting, \(best) at best, \(summary.moved.rawValue) pages moved")
    #expect(after == before + summary.superpages)
    #expect(after * 10 >= best * 9 && best > before)
    #expect(Invariants.problems(in: machine.memory, spaces: spaces) == [])
    withExtendedLifetime(spaces) {
      #expect(Layout(Array(unique.values)).wired == layout.wired, "a wired page has moved")
    }
  }
}
