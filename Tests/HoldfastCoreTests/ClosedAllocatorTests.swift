import HoldfastTestKit
import Testing

@testable import HoldfastCore

/// An allocator whose frames something may still reach after they are freed.
struct ClosedAllocatorTests {
  private static let all = FrameRun(Frame(0), PageCount(2048))

  @Test(arguments: [1, 2]) func `it gives out nothing and takes everything`(domains: UInt64) throws
  {
    let count = Self.all.count.rawValue / domains
    let allocator = try FrameAllocator(
      geometry: .small,
      parts: (0..<domains).map {
        .init(FrameRun(Frame($0 * count), PageCount(count)), node: NodeID(UInt32($0)))
      }, zeroed: false)
    var dirty: [FrameRun] = []
    let held = try #require(allocator.allocate(order: 0, dirty: &dirty)?.run)
    // Free frames of a superpage that is partly in use, such as a compaction moves pages to.
    let domain = allocator.domain(of: held.start)
    let superpage = Frame(held.start.rawValue & ~511)
    #expect(!allocator.isClosed)
    allocator.close()
    for other in [allocator, allocator.withPolicy(.roundRobin)] {
      #expect(other.isClosed)
      for order in [0, 9] {
        #expect(other.allocate(order: order, dirty: &dirty) == nil)
        #expect(other.allocateNow(order: order, dirty: &dirty) == nil)
        #expect(other.allocateLargest(order: order, dirty: &dirty) == nil)
        #expect(other.allocateLargestNow(order: order, dirty: &dirty) == nil)
      }
      #expect(other.allocate(Frame(1024), order: 0, dirty: &dirty) == nil)
      #expect(other.allocateContiguous(PageCount(8), dirty: &dirty) == nil)
      #expect(!other.allocate(FrameRun(Frame(1024), PageCount(8)), dirty: &dirty))
      #expect(other.takeDirty(largestOrder: 9) == nil)
      #expect(other.takeOffline(PageCount(512)).isEmpty)
    }
    #expect(domain.allocateFragment(ofSuperpage: superpage, limit: PageCount(8)) == nil)
    allocator.free(held, zeroed: false)
    #expect(allocator.occupancy.free == Self.all.count)
  }

  @Test func `its shortage is not that of a full one`() {
    let allocator = FrameAllocator(geometry: .small, checked: Self.all, zeroed: true)
    let memory = PhysicalMemory(allocator: allocator, store: NullFrameStore())
    #expect(memory.shortage.reason == "no free frame is left")
    allocator.close()
    #expect(memory.shortage.reason.contains("gives out no more memory"))
    #expect(memory.shortage.code == .resourceShortage && memory.shortage.advice != nil)
    #expect(memory.placedNow(PageCount(8)) == nil)
    #expect(memory.placed(PageCount(8)) == nil)
    #expect(memory.zeroFreeFrames() == .zero)
  }

  @Test func `no two random numbers are alike`() {
    let numbers = (0..<10_000).map { _ in RandomID.number() }
    #expect(Set(numbers).count == numbers.count)
    // Each bit is set in about a half of them.
    for bit in 0..<64 as Range<UInt64> {
      let share = numbers.count { $0 >> bit & 1 == 1 }
      #expect((4500...5500).contains(share), "bit \(bit)")
    }
    #expect(RandomID.text().utf8.count == 16)
  }
}
