import HoldfastTestKit
import Testing

@testable import HoldfastCore

/// A page tree against an array with one element for each page.
struct PageTreeTests {
  /// The tree and its model.
  private struct Pair {
    var tree: PageTree
    var model: [PageState?]

    init(pages: Int, levels: Int) {
      tree = PageTree(size: PageCount(UInt64(pages)), superpageLevels: levels)
      model = Array(repeating: nil, count: pages)
    }

    static func range(_ pages: Range<Int>) -> PageRange {
      PageRange(from: PageIndex(UInt64(pages.lowerBound)), to: PageIndex(UInt64(pages.upperBound)))
    }

    mutating func insert(_ pages: Range<Int>, frame: UInt64, isBusy: Bool) {
      let state = PageState(frame: Frame(frame), isValid: !isBusy, isBusy: isBusy)
      tree.insert(PageCount(UInt64(pages.count)), at: PageIndex(UInt64(pages.lowerBound)), state)
      for page in pages {
        model[page] = state
        model[page]?.frame = Frame(frame + UInt64(page - pages.lowerBound))
      }
    }

    mutating func update(_ pages: Range<Int>, _ body: (inout PageState) -> Void) {
      tree.update(in: Pair.range(pages), body)
      for page in pages where model[page] != nil { body(&model[page]!) }
    }

    /// Returns whether the tree has exactly what the model has.
    mutating func remove(_ pages: Range<Int>) -> Bool {
      var told: [Int: PageState] = [:]
      tree.remove(in: Pair.range(pages)) { part, state in
        for page in 0..<part.count.rawValue {
          var state = state
          state.frame = state.frame + PageCount(page)
          told[Int(part.start.rawValue + page)] = state
        }
      }
      var expected: [Int: PageState] = [:]
      for page in pages where model[page] != nil {
        expected[page] = model[page]
        model[page] = nil
      }
      return told == expected
    }

    /// The first difference.
    func difference(in pages: Range<Int>) -> String? {
      var next = pages.lowerBound
      var problem: String?
      tree.forEach(in: Pair.range(pages)) { part, state in
        if Int(part.start.rawValue) != next || part.isEmpty {
          problem = "\(part) comes after \(next)"
        }
        for page in Int(part.start.rawValue)..<Int(part.end.rawValue) {
          var expected = state
          if let state {
            expected?.frame = state.frame + PageCount(UInt64(page) - part.start.rawValue)
          }
          if model[page] != expected, problem == nil {
            problem = "\(page) is \(String(describing: expected)), not what the model has"
          }
        }
        next = Int(part.end.rawValue)
        return problem == nil
      }
      if problem == nil, next != pages.upperBound { problem = "the telling ends at \(next)" }
      return problem
    }

    /// Whether the superpage's pages are contiguous, in place and alike.
    func isAlike(_ superpage: Int) -> Bool {
      guard let first = model[superpage], first.frame.rawValue % 512 == 0 else { return false }
      var state = first
      for page in superpage..<superpage + 512 {
        if model[page] != state { return false }
        state.frame = state.frame + .one
      }
      return true
    }

    /// What breaks the tree's invariants.
    func broken() -> String? {
      if tree.residentCount.rawValue != model.reduce(0, { $0 + ($1 == nil ? 0 : 1) }) {
        return "the count of resident pages is \(tree.residentCount.rawValue)"
      }
      for superpage in stride(from: 0, to: model.count - 511, by: 512) {
        var runs = 0
        tree.forEach(in: Pair.range(superpage..<superpage + 512)) { _, state in
          runs += state == nil ? 0 : 1
          return true
        }
        let resident = model[superpage..<superpage + 512].reduce(0) { $0 + ($1 == nil ? 0 : 1) }
        let expected = isAlike(superpage) ? 1 : resident
        if runs != expected { return "\(runs) runs at \(superpage), not \(expected)" }
      }
      return nil
    }
  }

  @Test(arguments: 1...6 as ClosedRange<UInt64>)
  func `random changes agree with a page-by-page model`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let pages = 512 * 4 + 100
    var pair = Pair(pages: pages, levels: seed % 2 == 0 ? 1 : 2)
    /// Frames are their index plus a shift, in place for superpages or not.
    let shifts: [UInt64] = [0, 512 * 9, 1, 512 * 20 + 7]
    for step in 0..<250 {
      var low = Int.random(in: 0..<pages, using: &random)
      var high = Int.random(in: low...pages, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: (low, high) = (low / 512 * 512, min(pages, (high + 511) / 512 * 512))
      case 1: high = min(high, low + 3)
      default: break
      }
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<4:
        let shift = shifts.randomElement(using: &random)!
        let isBusy = Int.random(in: 0..<4, using: &random) == 0
        var page = low
        while page < high {
          var end = page
          while end < high, pair.model[end] == nil { end += 1 }
          if end > page { pair.insert(page..<end, frame: UInt64(page) + shift, isBusy: isBusy) }
          page = end + 1
        }
      case 4..<6: pair.update(low..<high) { $0.wireCount += 1 }
      case 6: pair.update(low..<high) { $0.wireCount = 0 }
      case 7:
        pair.update(low..<high) { state in
          state.isBusy = false
          state.isValid = true
        }
      default:
        let isRight = pair.remove(low..<high)
        try #require(isRight, "seed \(seed), step \(step)")
      }
      let problem = pair.difference(in: 0..<pages) ?? pair.difference(in: low..<high)
      try #require((problem ?? pair.broken()) == nil, "seed \(seed), step \(step)")
      for _ in 0..<5 {
        let page = Int.random(in: 0..<pages, using: &random)
        let state = pair.tree[PageIndex(UInt64(page))]
        try #require(state == pair.model[page], "seed \(seed), step \(step), page \(page)")
        let bounds = Pair.range(max(low, 0)..<max(high, low + 1))
        let inside = PageIndex(bounds.start.rawValue + UInt64(page) % bounds.count.rawValue)
        guard let run = pair.tree.run(at: inside, in: bounds) else {
          try #require(pair.model[Int(inside.rawValue)] == nil)
          continue
        }
        try #require(run.range.contains(inside) && bounds.start <= run.range.start)
        try #require(run.range.end <= bounds.end)
        try #require(run.state == pair.model[Int(run.range.start.rawValue)])
        try #require(
          run.state.frame + (inside - run.range.start) == pair.model[Int(inside.rawValue)]?.frame)
      }
    }
    let isRight = pair.remove(0..<pages)
    #expect(isRight)
    #expect(pair.tree.residentCount == .zero)
    // Nodes are reused, so a tree does not grow for pages that it had before.
    let metadata = pair.tree.metadata
    for _ in 0..<3 {
      pair.insert(0..<pages, frame: 3, isBusy: true)
      _ = pair.remove(0..<pages)
    }
    #expect(pair.tree.metadata <= metadata)
  }

  @Test func `512 equal pages become one run again in any order of insertion`() {
    for order in [Array(0..<512), Array((0..<512).reversed()), (0..<512).map { $0 * 77 % 512 }] {
      var pair = Pair(pages: 1024, levels: 2)
      for page in order {
        #expect(pair.broken() == nil)
        pair.insert(512 + page..<513 + page, frame: UInt64(1024 + page), isBusy: false)
      }
      #expect(pair.isAlike(512) && pair.broken() == nil)
      for page in order {
        pair.update(512 + page..<513 + page) { $0.wireCount = 1 }
        #expect(pair.broken() == nil)
      }
      #expect(pair.isAlike(512))
    }
  }

  @Test func `a gibibyte is one slot, splits where it must and merges again`() {
    let size = UInt64(1) << 18
    var tree = PageTree(size: PageCount(size * 3), superpageLevels: 2)
    let small = tree.metadata
    let state = PageState(frame: Frame(size * 5), isValid: false, isBusy: true)
    tree.insert(PageCount(size * 2), at: PageIndex(size), state)
    #expect(tree.metadata == small)
    func runs() -> [UInt64] {
      var runs: [UInt64] = []
      tree.forEach(in: PageRange(from: .zero, to: PageIndex(size * 3))) { part, state in
        if state != nil { runs.append(part.count.rawValue) }
        return true
      }
      return runs
    }
    #expect(runs() == [size, size])
    let page = PageIndex(size + 512 * 3 + 9)
    tree.update(in: PageRange(start: page, count: .one)) { $0.wireCount = 1 }
    #expect(runs().count == 511 + 512 + 1)
    #expect(tree[page]?.wireCount == 1 && tree[page + .one]?.wireCount == 0)
    #expect(tree[page]?.frame == Frame(size * 5 + 512 * 3 + 9))
    let bounds = PageRange(from: .zero, to: PageIndex(size + 512 * 4 + 100))
    #expect(
      tree.run(at: PageIndex(size + 512 * 4 + 7), in: bounds)?.range
        == PageRange(from: PageIndex(size + 512 * 4), to: bounds.end))
    tree.update(in: PageRange(from: PageIndex(size), to: PageIndex(size * 2))) { $0.wireCount = 1 }
    #expect(runs() == [size, size])
    var removed = PageCount.zero
    tree.remove(in: PageRange(from: page, to: page + .one)) { part, _ in removed += part.count }
    #expect(removed == .one && tree[page] == nil && runs().count == 511 + 511 + 1)
    tree.insert(
      .one, at: page,
      PageState(
        frame: Frame(size * 5 + 512 * 3 + 9), isValid: false, isBusy: true, wireCount: 1))
    #expect(runs() == [size, size])
    tree.remove(in: PageRange(from: .zero, to: PageIndex(size * 3))) { _, _ in }
    #expect(runs() == [] && tree.residentCount == .zero)
  }

  @Test func `contiguous frames at other positions than their pages stay base pages`() {
    var tree = PageTree(size: PageCount(2048), superpageLevels: 2)
    tree.insert(
      PageCount(1024), at: PageIndex(512),
      PageState(frame: Frame(513), isValid: true, isBusy: false))
    var runs = 0
    tree.forEach(in: PageRange(from: .zero, to: PageIndex(2048))) { _, state in
      runs += state == nil ? 0 : 1
      return true
    }
    #expect(runs == 1024)
  }

  @Test(arguments: [1, 2, 511, 512, 513, 1024, 1 << 18, 1 << 18 + 1] as [UInt64])
  func `an index beyond the size has no page and is no other page's`(size: UInt64) {
    var tree = PageTree(size: PageCount(size), superpageLevels: 2)
    let end = PageIndex(size)
    let state = PageState(frame: Frame(7), isValid: true, isBusy: false)
    tree.insert(.one, at: .zero, state)
    if size > 1 { tree.insert(.one, at: PageIndex(size - 1), state) }
    #expect(tree[.zero] == state && tree[PageIndex(size - 1)] == state)
    let beyond = [0, 1, 511, 512, 1 << 18, 1 << 40].map { PageIndex(size + $0) }
    for index in beyond + [PageIndex(1 << 63), PageIndex(.max - 1)] {
      let bounds = PageRange(from: .zero, to: PageIndex(.max))
      #expect(tree[index] == nil)
      #expect(tree.run(at: index, in: bounds) == nil)
      #expect(tree.gap(at: index, in: bounds) == PageRange(from: end, to: bounds.end))
      let part = PageRange(from: index, to: index + .one)
      #expect(tree.gap(at: index, in: part) == part)
      let isApart = index.rawValue / 512 > (size - 1) / 512
      #expect(tree.isAbsent(around: index, order: 9) == isApart)
      for start in [.zero, PageIndex(size - 1), end, index] {
        var next = start
        var resident: [PageIndex] = []
        tree.forEach(in: PageRange(from: start, to: index)) { part, state in
          #expect(part.start == next && !part.isEmpty)
          next = part.end
          if state != nil { resident.append(part.start) }
          return true
        }
        let expected = Set([.zero, PageIndex(size - 1)]).filter { $0 >= start }.sorted()
        if start < index { #expect(next == index && resident == expected) }
      }
    }
    if size > 1 {
      let last = PageIndex(size - 1)
      tree.remove(in: PageRange(from: last, to: end)) { _, _ in }
      #expect(
        tree.gap(at: last, in: PageRange(from: last, to: end)) == PageRange(from: last, to: end))
    }
  }

  @Test func `a tree has only the slots that its size needs`() {
    for (size, bytes) in [
      (0, 2), (1, 10), (10, 82), (511, 4090), (512, 10), (513, 18), (1 << 18, 10),
    ] {
      let tree = PageTree(size: PageCount(UInt64(size)), superpageLevels: 2)
      #expect(tree.metadata == ByteCount(UInt64(bytes)))
      #expect(tree[.zero] == nil && tree[PageIndex(512)] == nil)
    }
  }

  @Test func `changing a page beyond the size is a broken invariant`() async {
    await #expect(processExitsWith: .failure) {
      var tree = PageTree(size: PageCount(512), superpageLevels: 2)
      let state = PageState(frame: Frame(7), isValid: true, isBusy: false)
      tree.insert(PageCount(2), at: PageIndex(511), state)
    }
    await #expect(processExitsWith: .failure) {
      var tree = PageTree(size: PageCount(3), superpageLevels: 2)
      tree.update(in: PageRange(from: .zero, to: PageIndex(4))) { $0.isBusy = true }
    }
    await #expect(processExitsWith: .failure) {
      var tree = PageTree(size: PageCount(3), superpageLevels: 2)
      tree.remove(in: PageRange(from: PageIndex(512), to: PageIndex(513))) { _, _ in }
    }
  }

  @Test func `an index beyond an object has no page`() {
    let machine = Machine(frames: 64)
    let object = MemoryObject(memory: machine.memory, size: PageCount(10))
    let (space, _) = machine.makeSpace()
    let range = machine.range(0..<10)
    #expect(failure { try space.map(object, at: range) } == nil)
    #expect(failure { try space.wire(range) } == nil)
    #expect(object.state(of: PageIndex(3)) != nil)
    for index in [10, 512 + 3, 1 << 40 + 3, .max] as [UInt64] {
      #expect(object.state(of: PageIndex(index)) == nil)
    }
    var count = PageCount.zero
    object.forEachResident(in: PageRange(from: .zero, to: PageIndex(5000))) { part, _ in
      count += part.count
    }
    #expect(count == PageCount(10))
    #expect(failure { try space.remove(range) } == nil)
    object.release()
  }
}
