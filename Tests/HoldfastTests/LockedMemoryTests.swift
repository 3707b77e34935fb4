import Glibc
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

/// Monitors that keep their memory from being swapped, as QEMU does with mem-lock=on. In processes
/// of their own, because mlockall(2) is for the whole process.
@Suite(.enabled(if: HostNeeds.userFault && HostNeeds.isRoot, "needs root and userfaultfd"))
struct LockedMemoryTests {}

extension LockedMemoryTests {
  /// When mlockall(2) is called.
  private enum Moment: CaseIterable {
    case beforeArena
    case afterArena
    case afterWindow
  }

  private static func check(_ flags: Int32, _ moment: Moment, _ backing: Backing) throws {
    let base = backing.geometry.pageSize.rawValue
    if moment == .beforeArena { precondition(mlockall(flags) == 0) }
    let arena = try Arena(size: ByteCount(64 * base), for: .paging, backing: backing, threads: 1)
    if moment == .afterArena { precondition(mlockall(flags) == 0) }
    let limit = ByteCount(16 * base)
    let paging = DemandPaging(granularity: .basePage) { _ in .refuse }
    let one = try GuestMemory(arena: arena, limit: limit, demandPaging: paging)
    let small = try one.allocateSegment("ram", size: ByteCount(4 * base))
    try one.map(small, at: .zero)
    let touch = KernelAccess(one)
    if moment == .afterWindow {
      // The kernel locks the mapping of this page with MCL_CURRENT.
      precondition(touch.write(0x40, to: 0))
      precondition(mlockall(flags) == 0)
    }
    // What the guest writes is in the arena, not in memory of the kernel's choice.
    precondition(touch.write(0x41, to: 0))
    let written = try one.read(.zero, count: 1)
    precondition(written == [0x41])
    precondition(one.faultHandler!.statistics.demandFaults > 0)
    // Another guest has the frames beside it.
    let other = try GuestMemory(arena: arena, limit: limit)
    let ram = try other.allocateSegment("ram", size: ByteCount(16 * base))
    try other.map(ram, at: .zero, options: .wired)
    for page in 0..<UInt64(16) { try other.write([0x42], to: Address(page * base)) }
    for page in 1..<UInt64(16) { precondition(touch.read(page * base) == (page < 4 ? 0 : nil)) }
    // Pages that come one by one, in a region that is mapped at once.
    let third = try GuestMemory(arena: arena, limit: limit)
    let pages = try third.allocateSegment("ram", size: ByteCount(8 * base))
    let receipt = try third.map(pages, at: .zero, options: .wired, path: .fault)
    let verification = try receipt.verify()
    precondition(verification.problems == [], "\(verification)")
    for page in 0..<UInt64(9) {
      precondition(KernelAccess(third).read(page * base) == (page < 8 ? 0 : nil))
    }
    // A child of a fork has its pages read-only.
    let (child, _) = try one.fork()
    let childTouch = KernelAccess(child)
    precondition(childTouch.read(0) == 0x41 && childTouch.write(0x43, to: 0))
    precondition(touch.read(0) == 0x41 && childTouch.read(0) == 0x43)
    for page in 4..<UInt64(16) { precondition(childTouch.read(page * base) == nil) }
    // What is unmapped cannot be accessed any more.
    try one.unmap(AddressRange(from: .zero, to: Address(2 * base)))
    precondition(touch.read(0) == nil && touch.read(2 * base) == 0)
    try other.unmap(AddressRange(from: .zero, to: Address(2 * base)))
    precondition(KernelAccess(other).read(0) == nil && KernelAccess(other).read(2 * base) == 0x42)
    precondition(one.invariantProblems(with: [other, third, child]) == [])
  }

  private static func checkAll(_ flags: Int32) throws {
    try HugePageLock.withLock {
      for backing in DemandPagingTests.backings() where !backing.isTransparentHuge {
        for moment in Moment.allCases {
          try check(flags, moment, backing)
          precondition(munlockall() == 0)
        }
      }
    }
  }

  @Test func `guests are isolated under mlockall with MCL_FUTURE`() async {
    await #expect(processExitsWith: .success) { try LockedMemoryTests.checkAll(MCL_FUTURE) }
  }

  @Test func `guests are isolated under mlockall with MCL_FUTURE and MCL_ONFAULT`() async {
    await #expect(processExitsWith: .success) {
      try LockedMemoryTests.checkAll(MCL_FUTURE | MCL_ONFAULT)
    }
  }

  @Test func `guests are isolated under mlockall with MCL_CURRENT and MCL_FUTURE`() async {
    await #expect(processExitsWith: .success) {
      try LockedMemoryTests.checkAll(MCL_CURRENT | MCL_FUTURE)
    }
  }

  /// As docs/limits.md says.
  @Test func `mlockall with MCL_CURRENT pages guests in, and waits where nothing is mapped`() async
  {
    await #expect(processExitsWith: .success) {
      let arena = try Arena(size: .mebibytes(4), for: .paging, backing: .base, threads: 1)
      let guest = try GuestMemory(
        arena: arena, limit: .mebibytes(2), demandPaging: DemandPaging(granularity: .basePage))
      try guest.map(try guest.allocateSegment("ram", size: .kibibytes(16)), at: .zero)
      let thread = BackgroundTouch { precondition(mlockall(MCL_CURRENT) == 0) }
      let handler = guest.faultHandler!
      precondition(eventually { !handler.pausedFaults.isEmpty })
      precondition(handler.pausedFaults.map(\.address) == [Address(4 << 12)])
      let all = AddressRange(from: .zero, to: Address(4 << 12))
      precondition(guest.residency(in: all).residentBytes == .kibibytes(16))
      try guest.map(
        try guest.allocateSegment("more", size: .kibibytes(2032)), at: Address(4 << 12))
      handler.retryPaused()
      thread.join()
      precondition(arena.allocator.occupancy.free == PageCount(512))
    }
  }
}
