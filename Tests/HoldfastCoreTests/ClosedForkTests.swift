import HoldfastTestKit
import Testing

@testable import HoldfastCore

/// Forks of a memory in which a guest has kept an access that the host refused to end: no frame
/// that this guest may write to is another one's, and no one writes to a frame that it may read.
struct ClosedForkTests {
  /// Fails to remove the permission to write, as a window does whose host refuses all calls.
  private final class LosingPmap: Pmap {
    private let allocator: FrameAllocator
    init(_ allocator: FrameAllocator) { self.allocator = allocator }
    func enter(
      _ run: FrameRun, at address: Address, protection: Protection, wired: Bool,
      reach: AddressRange?
    ) {}
    func remove(_ range: AddressRange) {}
    func protect(_ range: AddressRange, _ protection: Protection) { allocator.close() }
    func unwire(_ range: AddressRange) {}
  }

  private func expectRefusal(_ body: () throws -> Void) {
    let error = failure(body)
    #expect(error?.code == .resourceShortage)
    #expect(error?.reason.contains("gives out no more memory") == true)
  }

  @Test func `a fork fails whose parent may still write`() throws {
    let machine = Machine(frames: 512, dirty: true)
    let space = try AddressSpace(
      bounds: AddressRange(from: .zero, to: Address(1 << 46)), memory: machine.memory,
      pmap: LosingPmap(machine.allocator), wiredLimit: machine.wiredLimit,
      faultGranularity: machine.faultGranularity)
    try space.map(at: machine.range(0..<16))
    try space.fault(machine.address(3), .write)
    let resident = machine.allocator.occupancy.free
    expectRefusal { _ = try space.fork(pmap: NullPmap()) }
    #expect(machine.allocator.isClosed)
    // The pages stay where they were.
    #expect(space.residency(in: space.bounds).shared == .zero)
    #expect(machine.allocator.occupancy.free == resident)
    try space.remove(space.bounds)
    #expect(machine.allocator.occupancy.free == PageCount(512))
  }

  @Test func `a later fork fails, also where all pages are shared already`() throws {
    let family = try Family(pages: 0..<16, frames: 512)
    try family.write(0, 3, 1)
    let child = try family.fork(0)
    family.machine.allocator.close()
    expectRefusal { _ = try family.fork(0) }
    expectRefusal { _ = try family.fork(child) }
    #expect(try family.byte(0, 3) == 1 && family.byte(child, 3) == 1)
    try family.expectNothingLeft()
  }

  @Test(arguments: [0, 1]) func `no side of a fork gets the frames of the other`(ending: Int) throws
  {
    let family = try Family(pages: 0..<16, frames: 512)
    try family.write(0, 3, 1)
    _ = try family.fork(0)
    let other = 1 - ending
    #expect(try family.byte(other, 3) == 1)
    family.machine.allocator.close()
    // As far as the library knows; the guest may still read the frame.
    try family.end(ending)
    expectRefusal { try family.write(other, 3, 2) }
    #expect(try family.byte(other, 3) == 1)
    #expect(family.problems == [])
    try family.end(other)
    #expect(family.machine.allocator.occupancy.free == PageCount(512))
  }

  @Test func `a private mapping does not get the frames of a segment`() throws {
    let machine = Machine(frames: 512, dirty: true)
    let segment = MemoryObject(memory: machine.memory, size: PageCount(16))
    let (sharing, _) = machine.makeSpace()
    let (copying, _) = machine.makeSpace()
    try sharing.map(segment, at: machine.range(0..<16))
    try copying.map(segment, at: machine.range(0..<16), copyOnWrite: true)
    try sharing.fault(machine.address(3), .write)
    machine.allocator.close()
    try sharing.remove(sharing.bounds)
    segment.release()
    expectRefusal { try copying.fault(machine.address(3), .write) }
    try copying.remove(copying.bounds)
    #expect(machine.allocator.occupancy.free == PageCount(512))
  }

  @Test func `neither a reservation nor a compaction gives out a frame`() throws {
    let machine = Machine(frames: 2048, dirty: true)
    let pool = machine.memory.reservations
    let owner = ReservationOwner()
    var dirty: [FrameRun] = []
    func populate() -> FrameRun? {
      pool.populate(ObjectIdentifier(owner), PageIndex(1), limit: .one, dirty: &dirty)
    }
    let first = try #require(
      pool.reserve(
        ObjectIdentifier(owner), .zero, limit: .one, from: machine.allocator, beside: nil,
        dirty: &dirty))
    let second = try #require(populate())
    pool.free(second, zeroed: false)
    let page = try #require(machine.allocator.allocate(order: 0, dirty: &dirty)).run
    let domain = machine.allocator.domain(of: page.start)
    machine.allocator.close()
    #expect(populate() == nil)
    #expect(domain.isolate(superpage: Frame(page.start.rawValue & ~511)).isEmpty)
    pool.free(first, zeroed: false)
    machine.allocator.free(page, zeroed: false)
    #expect(machine.allocator.occupancy.free == PageCount(2048))
    withExtendedLifetime(owner) {}
  }
}
