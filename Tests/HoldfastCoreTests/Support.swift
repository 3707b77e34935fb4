import HoldfastCore
import HoldfastTestKit
import Testing

/// The error that `body` throws, or nil. Records an issue if it is not a `HoldfastError`.
func failure(_ body: () throws -> Void) -> HoldfastError? {
  do {
    try body()
    return nil
  } catch let error as HoldfastError {
    return error
  } catch {
    Issue.record(error)
    return nil
  }
}

/// A machine with one space, in which an object is mapped: the stage of most tests.
struct Stage {
  let machine: Machine
  let space: AddressSpace
  let pmap: CheckingPmap
  let object: MemoryObject
  let total: PageCount

  /// Creates a stage with an object of `pages` pages, which the test maps.
  init(
    pages: UInt64, frames: UInt64 = 1 << 14, dirty: Bool = true, geometry: Geometry = .small,
    limit: WiredLimit = .init(.tebibytes(1))
  ) {
    machine = Machine(geometry: geometry, frames: frames, dirty: dirty, wiredLimit: limit)
    (space, pmap) = machine.makeSpace()
    object = MemoryObject(memory: machine.memory, size: PageCount(pages))
    total = PageCount(frames)
  }

  /// Maps the object's pages from `offset` on.
  func map(
    _ pages: Range<UInt64>, offset: UInt64 = 0, _ protection: Protection = .readWrite
  ) throws {
    try space.map(
      object, offset: PageIndex(offset), at: machine.range(pages), protection: protection)
  }

  var snapshot: Snapshot { machine.snapshot(of: [space], sharing: [object]) }

  /// The broken invariants, if only the object is mapped.
  var problems: [String] {
    machine.problems(in: space, pmap, sharing: [SharedArea(space.bounds, object)])
  }

  /// The broken invariants, if anonymous memory is mapped too.
  var anonymousProblems: [String] { machine.problems(in: space, pmap) }

  /// The wire counts of the object's resident pages, one for each run of alike pages.
  var wireCounts: [UInt16] { machine.pages(of: object, frames: false).map(\.wireCount) }

  /// Wires and returns the error.
  func wire(_ pages: Range<UInt64>, _ options: WireOptions, _ path: WirePath) -> HoldfastError? {
    trapIfBusy()
    return failure { try space.wire(machine.range(pages), [options, path.options]) }
  }

  func unwire(_ pages: Range<UInt64>, _ options: WireOptions = .user) -> HoldfastError? {
    failure { try space.unwire(machine.range(pages), options) }
  }

  /// The pages of the space that are mapped wired.
  var wiredInPmap: UInt64 {
    pmap.mappings.reduce(0) { $0 + ($1.isWired ? $1.frames.count.rawValue : 0) }
  }

  /// With a single thread, an operation that met a busy page would wait forever: end at once
  /// instead.
  func trapIfBusy() {
    object.forEachResident(in: PageRange(start: .zero, count: object.size)) { range, state in
      precondition(!state.isBusy, "pages \(range) were left busy")
    }
  }

  /// Removes the space and expects that nothing is left.
  func expectNothingLeft(sourceLocation: SourceLocation = #_sourceLocation) throws {
    trapIfBusy()
    try space.remove(space.bounds)
    object.release()
    #expect(pmap.mappings.isEmpty, sourceLocation: sourceLocation)
    #expect(pmap.violations == [], sourceLocation: sourceLocation)
    #expect(machine.wiredLimit.current == .zero, sourceLocation: sourceLocation)
    #expect(machine.allocator.occupancy.free == total, sourceLocation: sourceLocation)
  }
}
