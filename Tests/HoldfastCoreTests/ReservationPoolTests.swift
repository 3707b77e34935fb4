import HoldfastTestKit
import Testing

@testable import HoldfastCore

/// The pool alone, in situations in which an object would have to race with another thread.
struct ReservationPoolTests {
  private final class Owner {}

  @Test func `a region with a reservation gets no second one, and the block stays free`() {
    let machine = Machine(frames: 2048, dirty: true)
    let pool = machine.memory.reservations
    let owner = Owner()
    var dirty: [FrameRun] = []
    func reserve(_ index: UInt64) -> FrameRun? {
      pool.reserve(
        ObjectIdentifier(owner), PageIndex(index), limit: PageCount(4), from: machine.allocator,
        beside: nil, dirty: &dirty)
    }
    // As for pages for which a wire has frames ahead.
    let first = reserve(16)
    #expect(first?.count == PageCount(4) && dirty == [first!])
    #expect(reserve(20) == nil && reserve(0) == nil)
    #expect(machine.allocator.occupancy.free == PageCount(1536))
    #expect(pool.statistics.reserved == 1)
    pool.free(first!, zeroed: false)
    #expect(machine.allocator.occupancy.free == PageCount(2048))
    withExtendedLifetime(owner) {}
  }

  @Test
  func `a move to another object renames a reservation only where the pages keep their positions`()
  {
    let machine = Machine(frames: 2048)
    let pool = machine.memory.reservations
    let owners = [Owner(), Owner()]
    var dirty: [FrameRun] = []
    let run = pool.reserve(
      ObjectIdentifier(owners[0]), PageIndex(5), limit: .one, from: machine.allocator, beside: nil,
      dirty: &dirty)!
    let all = PageRange(start: .zero, count: PageCount(4096))
    pool.rename(run, to: ObjectIdentifier(owners[1]), at: PageIndex(1024 + 5), mapped: all)
    #expect(pool.all.map(\.key.first) == [PageIndex(1024)] && pool.statistics.broken == 0)
    pool.rename(run, to: ObjectIdentifier(owners[0]), at: PageIndex(6), mapped: all)
    #expect(pool.all.isEmpty && pool.statistics.broken == 1)
    #expect(machine.allocator.occupancy.free == PageCount(2047))
    withExtendedLifetime(owners) {}
  }
}
