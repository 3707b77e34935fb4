import HoldfastCore
import HoldfastTestKit
import Testing

/// Invariants while frames are zeroed, copied or paged in, which takes long: no thread can use
/// their pages yet, the source pages of copies stay, and other operations proceed. Another thread
/// checks that each time, during the operation.
struct FillingTests {
  enum Operation: CaseIterable, Sendable {
    case touch, touchCopy, touchImage, monitorWrites, monitorReads
    case wire, wireCopy, wireImage, forkWired
  }

  /// A child of 40 pages: 0..<10 are copies of the parent's, 10..<20 are absent, 20..<30 are
  /// copies of an image, 30..<40 are shared and absent.
  private func makeFamily() throws -> (Family, TestPager) {
    let machine = Machine(frames: 512, dirty: true)
    let family = Family(machine)
    let pager = TestPager(pages: 10, geometry: machine.geometry)
    let image = MemoryObject(memory: machine.memory, size: PageCount(10), pager: pager)
    let shared = MemoryObject(memory: machine.memory, size: PageCount(10))
    family.handles = [image, shared]
    let space = family.spaces[0]
    try space.map(at: machine.range(0..<20))
    try space.map(image, at: machine.range(20..<30), copyOnWrite: true)
    try space.map(shared, at: machine.range(30..<40), inheritance: .share)
    for page in 0..<10 as Range<UInt64> { try family.write(0, page, 40 + UInt8(page)) }
    _ = try family.fork(0)
    return (family, pager)
  }

  private func prepare(_ operation: Operation, _ family: Family, _ path: WirePath) throws {
    let range = family.machine.range(0..<20)
    switch operation {
    case .forkWired: try family.spaces[1].wire(range, path.options)
    default: break
    }
  }

  private static func perform(
    _ operation: Operation, _ space: AddressSpace, _ machine: Machine, _ path: WirePath
  ) throws {
    switch operation {
    case .touch: try space.fault(machine.address(33), .read)
    case .touchCopy: try space.fault(machine.address(3), .write)
    case .touchImage: try space.fault(machine.address(24), .read)
    case .monitorWrites: try space.write([43], at: machine.address(3))
    case .monitorReads: _ = try space.read(machine.address(22), count: 1)
    case .wire: try space.wire(machine.range(30..<40), path.options)
    case .wireCopy: try space.wire(machine.range(0..<20), path.options)
    case .wireImage: try space.wire(machine.range(20..<30), path.options)
    case .forkWired: _ = try space.fork(pmap: CheckingPmap(geometry: machine.geometry))
    }
  }

  @Test(arguments: Operation.allCases, WirePath.allCases)
  func `pages are filled without locks, and no other thread has them`(
    operation: Operation, path: WirePath
  ) throws {
    let (family, pager) = try makeFamily()
    let machine = family.machine
    try prepare(operation, family, path)
    let found = ConcurrentFailures()
    let objects = [0, 20, 30].flatMap { page in
      family.spaces.flatMap { $0.object(at: machine.address(page))?.chain ?? [] }
    }
    let space = family.spaces[1]
    let look: @Sendable (FrameRun?, [FrameRun]) -> Void = { source, filled in
      found.tally()
      // One failure is enough, and a thread that waits takes up to ten seconds.
      guard found.all.isEmpty else { return }
      let isDone = runThreads(1, seconds: 10) { _ in
        // All the chains as they are now: each object's lock is needed, and the space's.
        let chains =
          objects + [0, 20, 30].flatMap { space.object(at: machine.address($0))?.chain ?? [] }
        for object in chains {
          let pages = PageRange(start: .zero, count: object.size)
          object.forEachResident(in: pages) { range, state in
            let frames = FrameRun(state.frame, range.count)
            if filled.contains(where: { $0.overlaps(frames) }), state.isValid || !state.isBusy {
              found.report("\(range) is filled and can be used: \(state)")
            }
            if let source, source.overlaps(frames), !state.isBusy, state.wireCount == 0 {
              found.report("\(range) is copied from and may go: \(state)")
            }
          }
        }
        let free = machine.range(1000..<1001)
        if failure({ try space.map(at: free) }) != nil { found.report("nothing can be mapped") }
        if failure({ try space.remove(free) }) != nil { found.report("nothing can be unmapped") }
      }
      if !isDone { found.report("others are kept waiting") }
    }
    machine.store.beforeFilling(look)
    pager.beforeReading { look(nil, [$0]) }
    let done = runThreads(1, seconds: 60) { _ in
      #expect(failure { try Self.perform(operation, space, machine, path) } == nil)
    }
    try #require(done, "it waits for ever")
    machine.store.beforeFilling(nil)
    pager.beforeReading(nil)
    #expect(found.all == [] && found.operations > 0)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  /// What ends the batches of a large wire: resident pages among absent ones, or scattered frames.
  enum Layout: CaseIterable, Sendable {
    case residentBetween, framesApart
  }

  @Test(arguments: Layout.allCases, WirePath.allCases)
  func `a wire that zeroes a large range does not block the rest of the object`(
    layout: Layout, path: WirePath
  ) throws {
    let pages: UInt64 = 3000
    let machine = Machine(frames: 8192, dirty: true)
    let (space, pmap) = machine.makeSpace()
    let other = machine.makeSpace()
    let object = MemoryObject(memory: machine.memory, size: PageCount(pages))
    let range = machine.range(0..<pages)
    try space.map(object, at: range)
    try other.space.map(object, at: range)
    var held: [FrameRun] = []
    switch layout {
    case .residentBetween:
      for page in stride(from: 0, to: pages, by: 2) {
        try space.write([1], at: machine.address(page))
      }
    case .framesApart:
      var dirty: [FrameRun] = []
      while let block = machine.allocator.allocate(order: 0, dirty: &dirty) {
        held.append(block.run)
      }
      for run in held where run.start.rawValue % 2 == 0 {
        machine.allocator.free(run, zeroed: false)
      }
      held.removeAll { $0.start.rawValue % 2 == 0 }
    }
    let found = ConcurrentFailures()
    machine.store.beforeFilling { [machine] _, _ in
      machine.store.beforeFilling(nil)
      found.tally()
      let isDone = runThreads(1, seconds: 10) { _ in
        #expect(failure { try other.space.fault(machine.address(pages - 1), .write) } == nil)
        #expect(failure { try other.space.write([7], at: machine.address(2001)) } == nil)
      }
      if !isDone { found.report("another thread is kept waiting") }
    }
    let done = runThreads(1, seconds: 60) { _ in
      #expect(failure { try space.wire(range, path.options) } == nil)
    }
    try #require(done, "it waits for ever")
    #expect(found.all == [] && found.operations == 1)
    #expect(try space.read(machine.address(2001), count: 2) == [7, 0])
    let areas = [SharedArea(range, object)]
    #expect(machine.problems(in: space, pmap, sharing: areas) == [])
    #expect(machine.problems(in: other.space, other.pmap, sharing: areas) == [])
    for space in [space, other.space] { try space.remove(range) }
    object.release()
    for run in held { machine.allocator.free(run, zeroed: false) }
    #expect(machine.allocator.occupancy.free == PageCount(8192))
  }
}

extension FrameRun {
  fileprivate func overlaps(_ other: FrameRun) -> Bool { start < other.end && other.start < end }
}
