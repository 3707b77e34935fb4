import HoldfastTestKit
import Testing

@testable import HoldfastCore

/// The tree of entries against a sorted array.
struct EntryTreeTests {
  private static let page = UInt64(4096)

  private static func range(_ pages: Range<UInt64>) -> AddressRange {
    AddressRange(from: Address(pages.lowerBound * page), to: Address(pages.upperBound * page))
  }

  private static func entry(_ range: AddressRange) -> MapEntry {
    MapEntry(
      range: range, object: nil, offset: .zero, protection: .read, maximumProtection: .all,
      inheritance: .copy)
  }

  /// The tree and its model, which do the same.
  private struct Pair: ~Copyable {
    let bounds: AddressRange
    var tree: EntryTree
    var model: [MapEntry] = []

    init(_ bounds: AddressRange) {
      self.bounds = bounds
      tree = EntryTree(bounds: bounds, geometry: .small)
    }

    /// The index of the first entry of the model that ends after an address.
    func index(after address: Address) -> Int {
      model.firstIndex { $0.range.end > address } ?? model.count
    }

    mutating func insert(_ range: AddressRange) {
      let index = index(after: range.start)
      if index < model.count, model[index].range.start < range.end { return }
      let entry = EntryTreeTests.entry(range)
      model.insert(entry, at: index)
      let position = tree.insert(entry)
      #expect(tree[position] === entry)
    }

    /// Removes the entries that start in a range, with a walk.
    mutating func remove(startingIn range: AddressRange) {
      var position = tree.position(after: range.start)
      while let here = position, tree[here].range.start < range.end {
        position =
          range.contains(tree[here].range.start)
          ? tree.remove(at: here) : tree.position(after: here)
      }
      let next = model.first { $0.range.start >= range.end }
      #expect(position.map { tree[$0].range } == next?.range)
      model.removeAll { range.contains($0.range.start) }
    }

    /// Cuts the entry at an address, as `AddressSpace` does.
    mutating func cut(at address: Address) {
      let index = index(after: address)
      guard index < model.count, model[index].range.start < address else { return }
      let tail = model[index].split(at: address, .small)
      model.insert(tail, at: index + 1)
      let position = tree.insert(tail)
      #expect(tree.position(before: position).map { tree[$0] } === model[index])
    }

    /// Joins the entry at an address with the next one.
    mutating func join(at address: Address) {
      let index = index(after: address)
      guard index + 1 < model.count else { return }
      let (entry, next) = (model[index], model[index + 1])
      entry.range = AddressRange(from: entry.range.start, to: next.range.end)
      guard let here = tree.position(after: entry.range.start),
        let behind = tree.position(after: here)
      else {
        Issue.record("an entry is missing")
        return
      }
      #expect(tree[behind] === next)
      let following = tree.remove(at: behind)
      #expect(tree.position(before: following).map { tree[$0] } === entry)
      model.remove(at: index + 1)
    }

    func firstGap(_ length: UInt64, _ alignment: UInt64) -> AddressRange? {
      var start = bounds.start.rawValue
      for next in model.map(\.range) + [AddressRange(from: bounds.end, to: bounds.end)] {
        let multiple = start / alignment + (start % alignment == 0 ? 0 : 1)
        let (aligned, overflow) = multiple.multipliedReportingOverflow(by: alignment)
        let limit = next.start.rawValue
        if !overflow, aligned <= limit, length <= limit - aligned {
          return AddressRange(from: Address(aligned), to: Address(aligned + length))
        }
        start = next.end.rawValue
      }
      return nil
    }

    /// The first difference between the two around a random address, and for a random length.
    func difference(using random: inout SeededGenerator) -> String? {
      if tree.count != model.count { return "\(tree.count) entries, not \(model.count)" }
      let address = Address(
        UInt64.random(in: bounds.start.rawValue..<bounds.end.rawValue, using: &random))
      let index = index(after: address)
      let found = tree.position(after: address)
      let expected = index < model.count ? model[index] : nil
      if found.map({ tree[$0] }) !== expected { return "another entry ends after \(address)" }
      let here = expected.flatMap { $0.range.contains(address) ? $0 : nil }
      if tree.entry(at: address) !== here { return "another entry maps \(address)" }
      let before = tree.position(before: found).map { tree[$0] }
      if before !== (index > 0 ? model[index - 1] : nil) {
        return "another entry ends before \(address)"
      }
      let next = found.flatMap { tree.position(after: $0) }.map { tree[$0] }
      if next !== (index + 1 < model.count ? model[index + 1] : nil) {
        return "another entry follows the one after \(address)"
      }
      let rest = min(bounds.end - address, .mebibytes(16))
      let end = address + ByteCount(UInt64.random(in: 0...rest.rawValue, using: &random))
      var walked: [AddressRange] = []
      tree.visit(in: AddressRange(from: address, to: end)) { walked.append($0.range) }
      if walked != model.map(\.range).filter({ $0.end > address && $0.start < end }) {
        return "other entries overlap \(address)..<\(end)"
      }
      let pages = UInt64.random(in: 1...8, using: &random)
      let length = EntryTreeTests.page * pages << UInt64.random(in: 0..<14, using: &random)
      let alignment = EntryTreeTests.page << UInt64.random(in: 0..<20, using: &random)
      let gap = tree.firstGap(ByteCount(length), alignment: ByteCount(alignment))
      if gap != firstGap(length, alignment) {
        return "the first gap of \(length) at \(alignment) is \(String(describing: gap))"
      }
      return nil
    }
  }

  /// A random part of the bounds, short mostly.
  private static func part(
    of bounds: AddressRange, using random: inout SeededGenerator
  ) -> AddressRange {
    let pages = bounds.start.rawValue / page..<bounds.end.rawValue / page
    let start = UInt64.random(in: pages, using: &random)
    let order = UInt64.random(in: 0..<9, using: &random) / 2
    return range(start..<min(pages.upperBound, start + 1 + random.next() % (1 << order)))
  }

  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func `random changes agree with a sorted array`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    // Some start at no multiple of any superpage, and one ends at the last page.
    let first: UInt64 = seed % 2 == 0 ? 0 : 513
    let last: UInt64 = 1 << 52 - 1
    let bounds = Self.range(seed == 3 ? last - 40000..<last : first..<40000)
    var pair = Pair(bounds)
    for step in 0..<2400 {
      // Grows at first, then shrinks, and so on.
      let grows = step / 400 % 2 == 0
      let part = Self.part(of: bounds, using: &random)
      switch Int.random(in: 0..<10, using: &random) {
      case 0: pair.cut(at: part.start)
      case 1: pair.join(at: part.start)
      case 2: pair.remove(startingIn: part)
      case 3..<8 where grows:
        for _ in 0..<8 { pair.insert(Self.part(of: bounds, using: &random)) }
      case 3..<5: pair.insert(part)
      default:
        let length = grows ? part.length : min(bounds.end - part.start, .mebibytes(1))
        pair.remove(startingIn: AddressRange(from: part.start, to: part.start + length))
      }
      var problem = pair.difference(using: &random)
      if problem == nil, step % 8 == 0 { problem = pair.tree.problems.first }
      try #require(problem == nil, "seed \(seed), step \(step)")
    }
  }

  @Test(arguments: ["ascending", "descending", "random"])
  func `a tree of many entries keeps its invariants while it grows and shrinks`(
    order: String
  ) throws {
    var random = SeededGenerator(seed: 5)
    let count = UInt64(5000)
    var starts = Array(0..<count)
    if order == "descending" { starts.reverse() }
    if order == "random" { starts.shuffle(using: &random) }
    var tree = EntryTree(bounds: Self.range(0..<count * 2), geometry: .small)
    for start in starts {
      tree.insert(Self.entry(Self.range(start * 2..<start * 2 + 1)))
      if start % 100 == 0 { #expect(tree.problems == []) }
    }
    #expect(tree.count == Int(count) && tree.problems == [])
    // Nodes filled in order are three quarters full, others half on average.
    #expect(tree.metadata < ByteCount(count * 120))
    let two = ByteCount(Self.page * 2)
    #expect(tree.firstGap(two, alignment: ByteCount(Self.page)) == nil)
    if order == "random" { starts.shuffle(using: &random) }
    for (number, start) in starts.enumerated() {
      guard let position = tree.position(after: Address(start * 2 * Self.page)) else {
        Issue.record("an entry is missing")
        return
      }
      tree.remove(at: position)
      if start % 100 == 0 { #expect(tree.problems == []) }
      if number == 0 {
        let gap = start == 0 ? 0 : start * 2 - 1
        #expect(
          tree.firstGap(two, alignment: ByteCount(Self.page))
            == Self.range(gap..<gap + 2))
      }
    }
    #expect(tree.count == 0 && tree.first == nil && tree.last == nil && tree.problems == [])
    #expect(tree.metadata < .kibibytes(4))
  }

  @Test func `a long walk that removes every second entry meets each one once`() {
    let count = UInt64(3000)
    var tree = EntryTree(bounds: Self.range(0..<count), geometry: .small)
    for start in 0..<count { tree.insert(Self.entry(Self.range(start..<start + 1))) }
    var position = tree.first
    var met: [AddressRange] = []
    while let here = position {
      met.append(tree[here].range)
      position = met.count % 2 == 0 ? tree.remove(at: here) : tree.position(after: here)
    }
    #expect(met == (0..<count).map { Self.range($0..<$0 + 1) })
    #expect(tree.count == Int(count / 2) && tree.problems == [])
  }
}
