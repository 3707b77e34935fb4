import HoldfastCore
import HoldfastTestKit
import Testing

/// Fails the n-th allocation, translation or request of a pager, for n = 0, 1, 2 and so on until
/// the operation succeeds. After each failure every invariant holds and nothing has changed.
struct FailureTests {
  enum Kind: CaseIterable, Sendable {
    case frame, translation, pager
  }

  enum Operation: CaseIterable, Sendable {
    case writeToCopy, readImage, writeImage, wire, wireForReading, wireImage, wireAll
    case forkWired, monitorWrites
  }

  /// The observable state of a page.
  private struct Seen: Equatable {
    var protection: Protection?
    var isUserWired = false
    var systemWirings: UInt32 = 0
    var byte: UInt8?
  }

  /// A child of 30 pages: 0..<10 are copies of the parent's, 10..<20 are absent, 20..<30 are
  /// copies of an image. The child has copied 5..<8 already; the system has wired 12..<14.
  private func makeFamily() throws -> (Family, TestPager) {
    let machine = Machine(frames: 512, dirty: true, wiredLimit: WiredLimit(.tebibytes(1)))
    let family = Family(machine)
    let pager = TestPager(pages: 10, geometry: machine.geometry)
    let image = MemoryObject(memory: machine.memory, size: PageCount(10), pager: pager)
    family.handles = [image]
    try family.spaces[0].map(at: machine.range(0..<20))
    try family.spaces[0].map(image, at: machine.range(20..<30), copyOnWrite: true)
    for page in 0..<10 as Range<UInt64> { try family.write(0, page, 40 + UInt8(page)) }
    let child = try family.fork(0)
    for page in 5..<8 as Range<UInt64> { try family.write(child, page, 60 + UInt8(page)) }
    try family.spaces[child].wire(machine.range(12..<14), .system)
    return (family, pager)
  }

  private func prepare(_ operation: Operation, _ family: Family) throws {
    let range = family.machine.range(0..<20)
    switch operation {
    case .wireForReading: try family.spaces[1].protect(range, .read)
    case .forkWired: try family.spaces[1].wire(range)
    default: break
    }
  }

  private func perform(_ operation: Operation, _ family: Family, _ path: WirePath) throws {
    let machine = family.machine
    let space = family.spaces[1]
    switch operation {
    case .writeToCopy: try space.fault(machine.address(3), .write)
    case .readImage: try space.fault(machine.address(24), .read)
    case .writeImage: try space.fault(machine.address(24), .write)
    case .wire, .wireForReading: try space.wire(machine.range(0..<20), path.options)
    case .wireImage: try space.wire(machine.range(20..<30), path.options)
    case .wireAll: try space.wire(machine.range(0..<30), path.options)
    case .forkWired: _ = try family.fork(1)
    case .monitorWrites:
      // Writes the byte that is there already, so that a write before a failure changes nothing.
      try space.write([43], at: machine.address(3) + ByteCount(9))
    }
  }

  private func look(at family: Family) throws -> [Seen] {
    try (0..<2).flatMap { index in
      try (0..<30 as Range<UInt64>).map { page in
        let view = family.spaces[index].lookup(family.machine.address(page))
        return Seen(
          protection: view?.protection, isUserWired: view?.isUserWired ?? false,
          systemWirings: view?.systemWirings ?? 0, byte: try family.byte(index, page))
      }
    }
  }

  /// Does the operation, in which the n-th request of the kind fails.
  private func attempt(
    _ operation: Operation, _ kind: Kind, _ number: Int, _ path: WirePath, _ family: Family,
    _ pager: TestPager
  ) -> HoldfastError? {
    defer {
      family.pmaps[1].fail(at: nil)
      pager.fail(at: nil)
    }
    switch kind {
    case .frame:
      return family.machine.withFree(UInt64(number)) {
        failure { try perform(operation, family, path) }
      }
    case .translation:
      family.pmaps[1].fail(at: number)
      return failure { try perform(operation, family, path) }
    case .pager:
      pager.fail(at: number)
      return failure { try perform(operation, family, path) }
    }
  }

  @Test(arguments: Operation.allCases, Kind.allCases)
  func `every point at which an operation can fail leaves nothing`(
    operation: Operation, kind: Kind
  ) throws {
    var failures = 0
    for path in WirePath.allCases {
      for number in 0... {
        // A new machine each time, so that no attempt finds work of the one before.
        let (family, pager) = try makeFamily()
        try prepare(operation, family)
        let charged = family.machine.wiredLimit.current
        let reads = kind == .pager || operation == .readImage
        let before = reads ? [] : try look(at: family)
        let error = attempt(operation, kind, number, path, family, pager)
        #expect(family.problems == [], "\(path), number \(number)")
        if let error {
          failures += 1
          #expect(error.code == (kind == .pager ? .pagerFailure : .resourceShortage))
          #expect(error.address != nil)
          #expect(family.machine.wiredLimit.current == charged)
          #expect(family.living.count == 2)
          let after = try look(at: family)
          #expect(reads || after == before, "\(path), number \(number)")
          #expect(after[50].byte == 1 && after[33].byte == 43)
        }
        try family.expectNothingLeft()
        if error == nil { break }
        try #require(number < 100)
      }
    }
    print("FailureTests: \(operation), \(kind): failed at \(failures) points")
  }
}
