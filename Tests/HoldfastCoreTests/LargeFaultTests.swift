import HoldfastCore
import HoldfastTestKit
import Testing

/// Faults that zero or copy a large page as a whole.
struct LargeFaultTests {
  private func family(_ pages: Range<UInt64>, frames: UInt64, dirty: Bool = true) throws -> Family {
    let family = Family(
      Machine(
        frames: frames, dirty: dirty, wiredLimit: WiredLimit(.tebibytes(1)),
        faultGranularity: .largePage))
    try family.spaces[0].map(at: family.machine.range(pages))
    return family
  }

  private func resident(_ family: Family, _ index: Int) -> UInt64 {
    let space = family.spaces[index]
    return space.residency(in: space.bounds).resident.rawValue
  }

  @Test(arguments: [true, false])
  func `one fault makes a whole large page of zeros`(dirty: Bool) throws {
    let family = try family(0..<1024, frames: 2048, dirty: dirty)
    let resolution = try family.spaces[0].fault(family.machine.address(700), .read)
    #expect(resolution.range == family.machine.range(512..<1024) && resolution.work == .zeroed)
    #expect(resident(family, 0) == 512)
    let mapping = try #require(family.pmaps[0].mapping(at: family.machine.address(512)))
    #expect(mapping.frames.count == PageCount(512))
    #expect(family.machine.store.isZero(mapping.frames))
    let again = try family.spaces[0].fault(family.machine.address(600), .write)
    #expect(again.work == .none && again.range == family.machine.range(512..<1024))
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `at the ends of a mapping and beside resident pages, faults make single pages`() throws
  {
    let family = try family(100..<1124, frames: 4096)
    try family.spaces[0].fault(family.machine.address(200), .read)
    #expect(resident(family, 0) == 1)
    try family.spaces[0].fault(family.machine.address(1100), .read)
    #expect(resident(family, 0) == 2)
    try family.spaces[0].fault(family.machine.address(600), .read)
    #expect(resident(family, 0) == 514)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `without a free block a fault makes a base page`() throws {
    let family = try family(0..<512, frames: 1024)
    var dirty: [FrameRun] = []
    // One frame of each block is taken.
    let taken = [Frame(5), Frame(700)]
    for frame in taken {
      #expect(family.machine.allocator.allocate(frame, order: 0, dirty: &dirty) != nil)
    }
    let resolution = try family.spaces[0].fault(family.machine.address(7), .write)
    #expect(resolution.range == family.machine.range(7..<8) && resident(family, 0) == 1)
    for frame in taken { family.machine.allocator.free(FrameRun(frame, .one), zeroed: false) }
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `a write after a fork copies the large page, and the other side keeps its own`() throws
  {
    let family = try family(0..<1024, frames: 4096)
    for page in stride(from: UInt64(0), to: 1024, by: 100) { try family.write(0, page, 7) }
    let child = try family.fork(0)
    let copies = family.machine.store
    let resolution = try family.spaces[child].fault(family.machine.address(300), .write)
    #expect(resolution.range == family.machine.range(0..<512) && resolution.work == .copied)
    try family.write(child, 300, 9)
    #expect(try family.byte(0, 300) == 7 && family.byte(child, 300) == 9)
    #expect(try family.byte(child, 200) == 7 && family.byte(child, 900) == 7)
    let (all, shared) = family.spaces[child].residency(in: family.spaces[child].bounds)
    #expect(all == PageCount(1024) && shared == PageCount(512))
    // Now only the parent reaches its page, and need not copy it.
    try family.write(0, 100, 3)
    #expect(try family.byte(child, 100) == 7 && family.byte(0, 100) == 3)
    #expect(family.problems == [])
    _ = copies
    try family.expectNothingLeft()
  }

  @Test func `beside a wired page a fault copies one page, and the wiring stays`() throws {
    let family = try family(0..<512, frames: 4096)
    try family.write(0, 10, 1)
    let child = try family.fork(0)
    let space = family.spaces[child]
    // Wired to be read only, so that a write may come later.
    try space.protect(family.machine.range(0..<512), .read)
    try space.wire(family.machine.range(0..<16))
    try space.protect(family.machine.range(16..<512), .readWrite)
    try space.fault(family.machine.address(100), .write)
    #expect(family.problems == [])
    #expect(try family.byte(child, 10) == 1)
    try space.unwire(family.machine.range(0..<16))
    try family.expectNothingLeft()
  }

  /// The entry that faults has the whole large page, and pages of it are wired by another mapping.
  @Test func `a fault beside pages that another mapping has wired copies one page`() throws {
    let machine = Machine(
      frames: 4096, dirty: true, wiredLimit: WiredLimit(.tebibytes(1)),
      faultGranularity: .largePage)
    let family = Family(machine)
    let object = MemoryObject(memory: machine.memory, size: PageCount(512))
    family.handles = [object]
    let other = family.addSpace()
    for space in family.spaces { try space.map(object, at: machine.range(0..<512)) }
    for page in [3, 100] as [UInt64] { try family.write(0, page, 7) }
    let child = try family.fork(0)
    try family.spaces[other].wire(machine.range(0..<16))
    let frame = object.state(of: PageIndex(3))?.frame
    let resolution = try family.spaces[0].fault(machine.address(100), .write)
    #expect(resolution.range == machine.range(100..<101) && resolution.work == .copied)
    #expect(object.state(of: PageIndex(3))?.frame == frame)
    try family.write(0, 100, 8)
    #expect(try family.byte(other, 100) == 8 && family.byte(child, 100) == 7)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test func `a write that begins or covers a large page makes it, another one a base page`() throws
  {
    let family = try family(0..<2048, frames: 8192)
    let (space, machine) = (family.spaces[0], family.machine)
    try space.write([1], at: machine.address(700))
    #expect(resident(family, 0) == 1)
    try space.write([2], at: machine.address(1024) + ByteCount(9))
    #expect(resident(family, 0) == 513)
    // From the middle of the first large page to that of the last one.
    let bytes = [UInt8](repeating: 5, count: Int((1800 - 300) * 4096))
    try space.write(bytes, at: machine.address(300))
    #expect(resident(family, 0) == 212 + 512 + 512 + 512)
    #expect(try space.read(machine.address(300), count: bytes.count) == bytes)
    #expect(try space.read(machine.address(1799), count: 8192) == bytes[..<4096] + zeros(4096))
    #expect(family.pmaps[0].mappings.isEmpty && family.problems == [])
    // A write to shared memory copies by the same rule.
    let child = try family.fork(0)
    let before = machine.allocator.occupancy.free
    try family.spaces[child].write([9], at: machine.address(1024))
    #expect(before - machine.allocator.occupancy.free == PageCount(512))
    try family.spaces[child].write([9], at: machine.address(1537))
    #expect(try family.byte(0, 1024) == 5 && family.byte(0, 1537) == 5)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  @Test(arguments: [false, true])
  func `a read of absent memory finds zeros up to what is resident`(isFork: Bool) throws {
    let family = try family(0..<2048, frames: 8192)
    let machine = family.machine
    let before = [3, 4, 900, 1500] as [UInt64]
    for page in before { try family.spaces[0].write([7], at: machine.address(page) + ByteCount(1)) }
    let index = isFork ? try family.fork(0) : 0
    if isFork { try family.spaces[1].write([8], at: machine.address(1400) + ByteCount(1)) }
    let (start, count) = (machine.address(2) + ByteCount(77), 1900 * 4096 + 5)
    var expected = zeros(count)
    for page in before { expected[Int((page - 2) * 4096) + 1 - 77] = 7 }
    if isFork { expected[1398 * 4096 + 1 - 77] = 8 }
    let free = machine.allocator.occupancy.free
    #expect(try family.spaces[index].read(start, count: count) == expected)
    #expect(machine.allocator.occupancy.free == free)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  private func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

  @Test func `a copy for which the pmap has no room changes nothing`() throws {
    let family = try family(0..<1024, frames: 4096)
    try family.write(0, 10, 1)
    let child = try family.fork(0)
    _ = try family.spaces[child].fault(family.machine.address(10), .read)
    for number in 0..<2 {
      family.pmaps[child].fail(at: number == 0 ? 0 : nil)
      let error = failure { try family.spaces[child].fault(family.machine.address(10), .write) }
      #expect((error?.code == .resourceShortage) == (number == 0))
      #expect(family.problems == [])
      #expect(try family.byte(child, 10) == 1 && family.byte(0, 10) == 1)
    }
    try family.expectNothingLeft()
  }

  @Test func `threads that write to one large page of a fork copy it once`() throws {
    let family = try family(0..<512, frames: 4096)
    try family.write(0, 0, 1)
    let child = try family.fork(0)
    let space = family.spaces[child]
    let machine = family.machine
    let findings = ConcurrentFailures()
    let ended = runThreads(8) { number in
      for page in stride(from: UInt64(number), to: 512, by: 8) {
        do {
          try space.fault(machine.address(page), .write)
        } catch {
          findings.report("\(error)")
        }
      }
    }
    #expect(ended && findings.all == [])
    let used = machine.allocator.occupancy.total - machine.allocator.occupancy.free
    #expect(used == PageCount(1024))
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }
}
