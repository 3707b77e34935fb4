import HoldfastCore
import HoldfastTestKit
import Testing

/// No number traps, whatever the call: each of the public calls of the product with each of these.
struct BadValueTests {
  /// Numbers at which arithmetic on sizes and addresses goes wrong.
  static let numbers: [UInt64] =
    [0, 1, 2, 3, 7, 8, 511, 4095, 4096, 4097, 1 << 20, 1 << 21, (1 << 30) - 1, 1 << 30]
    + [1 << 31, (1 << 32) - 1, 1 << 32, 1 << 39, 1 << 40, 1 << 46, 1 << 47, 1 << 52, 1 << 62]
    + [(1 << 63) - 1, 1 << 63, .max - 4096, .max - 4095, .max - 1, .max]
  static let signed: [Int] = [.min, .min + 1, -4096, -1, 0, 1, 9, 18, 63, 64, 65, 4096, .max]

  @Test func `units stop at their bounds`() {
    #expect(ByteCount.gibibytes(1 << 40) == ByteCount(.max))
    #expect(ByteCount.gibibytes(1 << 33) == .tebibytes(1 << 23))
    #expect(ByteCount.tebibytes((1 << 24) - 1).rawValue == (.max << 40))
    #expect(ByteCount.tebibytes(1 << 24) == ByteCount(.max) && ByteCount.tebibytes(0) == .zero)
    #expect(ByteCount(1) - ByteCount(2) == .zero && ByteCount(.max) + ByteCount(1) == .init(.max))
    #expect(Address(1) - ByteCount(2) == .zero && Address(.max) + ByteCount(1) == Address(.max))
    #expect(Address(1) - Address(2) == .zero)
    #expect(Address(1).subtracting(ByteCount(2)) == nil && Address(.max).adding(.init(1)) == nil)
    #expect(Address(3).subtracting(ByteCount(2)) == Address(1))
    for first in Self.numbers {
      let bytes = ByteCount(first)
      for make in [ByteCount.kibibytes, ByteCount.mebibytes, ByteCount.gibibytes] {
        #expect(make(first) >= bytes)
      }
      #expect(ByteCount.tebibytes(first) >= bytes)
      _ = (bytes.description, bytes.shortDescription, Address(first).description)
      for second in Self.numbers {
        let other = ByteCount(second)
        #expect(bytes + other >= max(bytes, other) && bytes - other <= bytes)
        #expect(PageCount(first) + PageCount(second) >= PageCount(second))
        #expect(Frame(first) + PageCount(second) >= Frame(first))
        #expect(PageIndex(first) - PageIndex(second) <= PageCount(first))
        #expect(bytes.roundedDown(to: other) <= bytes)
        #expect(bytes.roundedUp(to: other) ?? bytes >= bytes)
        #expect(Address(first) + other >= Address(first))
        #expect(Address(first) - other <= Address(first))
        #expect(Address(first) - Address(second) <= bytes)
        _ = (bytes.isMultiple(of: other), Address(first).isAligned(to: other))
        _ = (Address(first).roundedUp(to: other), Address(first).roundedDown(to: other))
        _ = FrameRun(Frame(first), PageCount(second)).contains(Frame(first))
      }
    }
  }

  @Test func `ranges are nil for bounds in the wrong order`() {
    let make: (Address, Address) -> AddressRange? = AddressRange.init(_:_:)
    let makePages: (PageIndex, PageIndex) -> PageRange? = PageRange.init(_:_:)
    for first in Self.numbers {
      for second in Self.numbers {
        let range = make(Address(first), Address(second))
        #expect((range == nil) == (second < first))
        let part = AddressRange(start: Address(first), length: ByteCount(second))
        #expect((part == nil) == first.addingReportingOverflow(second).overflow)
        if let range, let part {
          _ = (range.clamped(to: part), range.overlaps(part), range.contains(part), range.length)
        }
        let pages = makePages(PageIndex(first), PageIndex(second))
        #expect((pages == nil) == (second < first))
        #expect(
          PageRange(start: PageIndex(first), count: PageCount(second)).start.rawValue == first)
      }
    }
  }

  @Test func `geometries are refused or stay within 2^46`() throws {
    for shift in Self.signed + Array(11...31) {
      for levels in [Int.min, -1, 0, 1, 2, 3, .max] {
        guard let geometry = try? Geometry(pageShift: shift, superpageLevels: levels) else {
          continue
        }
        #expect((12...30).contains(shift) && (0...2).contains(levels))
        #expect(geometry.size(ofLevel: levels) <= ByteCount(1 << 46))
        check(geometry)
      }
    }
    #expect(throws: HoldfastError.self) { try Geometry(pageShift: 30, superpageLevels: 2) }
    #expect(throws: HoldfastError.self) { try Geometry(pageShift: 29, superpageLevels: 2) }
    #expect(try Geometry(pageShift: 28, superpageLevels: 2).maximumOrder == 18)
  }

  private func check(_ geometry: Geometry) {
    for level in Self.signed { _ = (geometry.order(ofLevel: level), geometry.size(ofLevel: level)) }
    for number in Self.numbers {
      let bytes = geometry.bytes(PageCount(number))
      #expect(number == 0 || bytes >= geometry.pageSize)
      #expect(geometry.pages(in: bytes) <= PageCount(number))
      for other in Self.numbers {
        let order = geometry.largestOrder(at: Frame(number), limit: PageCount(other))
        #expect((0...geometry.maximumOrder).contains(order))
      }
      for order in Self.signed {
        _ = (Frame(number).isAligned(toOrder: order), PageCount.order(order))
      }
    }
  }

  @Test func `allocators and objects of any size`() throws {
    for start in Self.numbers {
      for count in Self.numbers {
        let frames = FrameRun(Frame(start), PageCount(count))
        for present in [nil, PageCount(start)] {
          let part = FrameAllocator.Part(frames, node: NodeID(.max), present: present)
          // Larger ones are valid, and take long to make.
          if frames.end <= Frame(1 << 40), count > 1 << 20 { continue }
          _ = try? FrameAllocator(geometry: .small, parts: [part, part], zeroed: true)
          _ = try? FrameAllocator(geometry: .giant, parts: [part], zeroed: true)
        }
      }
    }
    #expect(throws: HoldfastError.self) {
      try FrameAllocator(geometry: .small, parts: [], zeroed: true)
    }
    let machine = Machine(frames: 1024)
    for size in Self.numbers {
      let object = MemoryObject(memory: machine.memory, size: PageCount(size))
      for number in Self.numbers {
        #expect(object.state(of: PageIndex(number)) == nil)
        object.forEachResident(in: PageRange(start: PageIndex(number), count: .one)) { _, _ in }
      }
      object.release()
    }
    var dirty: [FrameRun] = []
    for order in Self.signed {
      for block in [
        machine.allocator.allocate(order: order, dirty: &dirty),
        machine.allocator.allocateLargest(order: order, dirty: &dirty),
        machine.allocator.allocate(Frame(512), order: order, dirty: &dirty),
        machine.allocator.allocate(Frame(.max), order: order, dirty: &dirty),
      ] {
        if let block { machine.allocator.free(block.run, zeroed: block.isZeroed) }
      }
      _ = machine.allocator.freeBlocks.fragmentation(below: order)
      _ = machine.memory.compact(superpages: order)
    }
    #expect(machine.allocator.occupancy.free == PageCount(1024))
  }

  @Test func `address spaces refuse ranges that they cannot have`() throws {
    let machine = Machine(frames: 1024)
    #expect(throws: HoldfastError.self) {
      try AddressSpace(
        bounds: AddressRange(from: .zero, to: Address(4097)), memory: machine.memory,
        pmap: NullPmap())
    }
    let (space, _) = machine.makeSpace()
    let object = MemoryObject(memory: machine.memory, size: PageCount(.max))
    for start in Self.numbers {
      for length in Self.numbers {
        guard let range = AddressRange(start: Address(start), length: ByteCount(length)) else {
          continue
        }
        try attempt { try space.map(object, offset: PageIndex(start), at: range) }
        try attempt { try space.map(at: range) }
        // What is mapped is not wired, which would take all frames.
        for options in [WireOptions.user, [.system, .holesOK]] where length <= 8192 {
          try attempt { try space.wire(range, options) }
          try attempt { try space.unwire(range, options) }
        }
        try attempt { try space.protect(range, .read) }
        if length <= 8192 { try attempt { try space.hold(range, for: .read).release() } }
        _ = (space.residency(in: range), space.lookup(range.end), space.isWired(range.start))
        space.forEachResident(in: range) { _, _, _ in }
        try attempt { try space.fault(Address(start), Protection(rawValue: .max)) }
        try attempt { try space.write([1, 2, 3].span.bytes, to: Address(start)) }
        try attempt { try space.remove(range) }
      }
    }
    try space.remove(space.bounds)
    object.release()
    #expect(machine.allocator.occupancy.free == PageCount(1024))
  }

  /// Calls what may throw only one type of error.
  private func attempt(_ body: () throws -> Void) throws {
    do { try body() } catch is HoldfastError {}
  }

  @Test func `pagers that say nonsense are read within bounds`() throws {
    for (pages, hole) in [(UInt64.max, UInt64.max), (0, 0), (1, .max), (0, .max), (.max, 0)] {
      let machine = Machine(frames: 1024)
      let (space, _) = machine.makeSpace()
      let pager = NonsensePager(pages: pages, hole: hole)
      let object = MemoryObject(memory: machine.memory, size: PageCount(64), pager: pager)
      let range = machine.range(0..<64)
      try space.map(object, at: range)
      try space.wire(range)
      #expect(space.residency(in: range).resident == PageCount(64))
      #expect(pager.mostFrames <= 64)
      try space.remove(range)
      object.release()
    }
  }

  /// A pager of another program, with any numbers.
  private final class NonsensePager: Pager, @unchecked Sendable {
    private let count: PageCount
    private let hole: PageIndex
    /// The most frames that were to be filled at once.
    private(set) var mostFrames: UInt64 = 0

    init(pages: UInt64, hole: UInt64) {
      count = PageCount(pages)
      self.hole = PageIndex(hole)
    }

    func pages(at index: PageIndex, limit: PageCount) -> PageCount { count }

    func hole(around index: PageIndex, in range: PageRange) -> PageRange {
      PageRange(start: hole, count: count)
    }

    func read(_ pages: PageRange, into frames: FrameRun, _ store: any FrameStore) {
      mostFrames = max(mostFrames, frames.count.rawValue)
    }
  }
}
