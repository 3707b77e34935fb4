import HoldfastTestKit
import Testing

@testable import HoldfastCore

struct MappingIndexTests {
  private final class Entry {}

  private func record(_ pages: Range<UInt64>, isWired: Bool = false) -> MappingRecord {
    MappingRecord(
      pmap: NullPmap(), start: .zero,
      pages: PageRange(from: PageIndex(pages.lowerBound), to: PageIndex(pages.upperBound)),
      protection: .read, isWired: isWired, isEntered: true)
  }

  private func found(_ index: MappingIndex, _ range: PageRange) -> [ObjectIdentifier] {
    var found: [ObjectIdentifier] = []
    index.forEach(overlapping: range) { entry, _ in found.append(entry) }
    return found
  }

  /// Random insertions, changes and removals, compared with a list that is searched as a whole.
  @Test(arguments: [10, 300] as [UInt64], 0..<4 as Range<UInt64>)
  func `it finds what a plain list finds`(size: UInt64, seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var index = MappingIndex()
    var list: [(entry: Entry, record: MappingRecord)] = []
    func pages() -> Range<UInt64> {
      let start = random.next() % size
      return start..<start + 1 + random.next() % (random.next() % 4 == 0 ? size : 8)
    }
    for step in 0..<1500 {
      let isGrowing = step % 500 < 250
      switch random.next() % 10 {
      case 0..<(isGrowing ? 6 : 2):
        list.append((Entry(), record(pages(), isWired: random.next() % 3 == 0)))
        index.set(list[list.count - 1].record, for: ObjectIdentifier(list[list.count - 1].entry))
      case 6..<8 where !list.isEmpty:
        // Half of the changes keep the pages, as a change of the protection does.
        let place = Int(random.next() % UInt64(list.count))
        let isMoved = random.next() % 2 == 0
        var changed = isMoved ? record(pages()) : list[place].record
        changed.isWired = random.next() % 3 == 0
        list[place].record = changed
        index.set(changed, for: ObjectIdentifier(list[place].entry))
      case _ where !list.isEmpty:
        let place = Int(random.next() % UInt64(list.count))
        index.set(nil, for: ObjectIdentifier(list[place].entry))
        list.swapAt(place, list.count - 1)
        list.removeLast()
      default: break
      }
      let part = pages()
      let range = PageRange(from: PageIndex(part.lowerBound), to: PageIndex(part.upperBound))
      let expected = list.filter { $0.record.pages.overlaps(range) }
        .sorted {
          ($0.record.pages.start, ObjectIdentifier($0.entry))
            < ($1.record.pages.start, ObjectIdentifier($1.entry))
        }
      #expect(found(index, range) == expected.map { ObjectIdentifier($0.entry) }, "seed \(seed)")
      let wired = index.first(overlapping: range) { $0.isWired }
      #expect(wired?.pages == expected.first { $0.record.isWired }?.record.pages)
      #expect(index.count == list.count)
      if step % 50 == 0 {
        #expect(index.inspection.problems == [], "seed \(seed), step \(step)")
        for (entry, record) in list {
          let own = index[ObjectIdentifier(entry)]
          #expect(own?.pages == record.pages && own?.isWired == record.isWired)
        }
      }
    }
  }

  @Test(arguments: ["ascending", "descending", "alike"])
  func `its height grows with the logarithm, in whatever order entries come`(order: String) {
    var index = MappingIndex()
    let entries = (0..<1 << 14).map { _ in Entry() }
    for (number, entry) in entries.enumerated() {
      let start = UInt64(order == "ascending" ? number : order == "alike" ? 5 : 1 << 14 - number)
      index.set(record(start..<start + 1), for: ObjectIdentifier(entry))
    }
    let (problems, height) = index.inspection
    #expect(problems == [] && height < 60)
    for entry in entries { index.set(nil, for: ObjectIdentifier(entry)) }
    #expect(index.count == 0 && index.inspection.problems == [])
    #expect(found(index, PageRange(from: .zero, to: PageIndex(1 << 20))).isEmpty)
  }

  @Test func `an entry that is removed keeps no pmap alive`() {
    var index = MappingIndex()
    let entry = Entry()
    weak var pmap: NullPmap?
    do {
      let own = NullPmap()
      pmap = own
      let record = MappingRecord(
        pmap: own, start: .zero, pages: PageRange(from: .zero, to: PageIndex(4)), protection: .read,
        isWired: false, isEntered: true)
      index.set(record, for: ObjectIdentifier(entry))
    }
    #expect(pmap != nil)
    index.set(nil, for: ObjectIdentifier(entry))
    #expect(pmap == nil)
    withExtendedLifetime(entry) {}
  }

  @Test func `a search ends with the error of its body`() {
    struct Wrong: Error {}
    var index = MappingIndex()
    let entries = (0..<10).map { _ in Entry() }
    for entry in entries { index.set(record(0..<5), for: ObjectIdentifier(entry)) }
    var calls = 0
    #expect(throws: Wrong.self) {
      try index.forEach(overlapping: PageRange(from: .zero, to: PageIndex(1))) {
        (_, _) throws(Wrong) in
        calls += 1
        if calls == 3 { throw Wrong() }
      }
    }
    #expect(calls == 3)
  }

  /// The priorities of an index that begins with this number, as anyone can compute them.
  private func priorities(_ count: Int, from seed: UInt32) -> [UInt32] {
    var random = seed
    return (0..<count).map { _ in
      random ^= random << 13
      random ^= random >> 17
      random ^= random << 5
      return random
    }
  }

  @Test(arguments: [0x9E37_79B9, 1] as [UInt32])
  func `no order of entries makes it a list`(guess: UInt32) {
    let count = 3000
    let guessed = priorities(count, from: guess)
    let ranks = guessed.indices.sorted { guessed[$0] < guessed[$1] }
    var places = [UInt64](repeating: 0, count: count)
    for (rank, number) in ranks.enumerated() { places[number] = UInt64(rank) }
    var index = MappingIndex()
    let entries = places.map { (entry: Entry(), place: $0) }
    for (entry, place) in entries {
      index.set(record(place..<place + 1), for: ObjectIdentifier(entry))
    }
    #expect(index.inspection.problems == [])
    #expect(index.inspection.height < 100)
  }
}
