import Glibc
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Synchronization
import Testing

/// Copies of running guests that share their frames until either side writes.
@Suite(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
struct GuestForkTests {}

extension GuestForkTests {
  private static let all = AddressRange(from: .zero, to: Address(32 << 20))
  private static let bytes = UInt64(0)..<UInt64(32 << 20)

  /// A guest whose words are their addresses and one.
  private func filled(
    _ backing: Backing, arena size: ByteCount = .mebibytes(128), wired: Bool = false,
    granularity: FaultGranularity = .largePage
  ) throws -> GuestMemory {
    let guest = try DemandPagingTests.guest(
      backing, size: size, paging: DemandPaging(granularity: granularity))
    let ram = try guest.allocateSegment("ram", size: .mebibytes(32))
    try guest.map(ram, at: .zero, options: wired ? .wired : [])
    try guest.freeSegment(ram)
    let touch = GuestAccess(guest)
    for address in stride(from: 0, to: Self.bytes.upperBound, by: 4096) {
      touch.write(address + 1, to: address)
    }
    return guest
  }

  @Test func `both sides have the bytes at the fork, and neither sees the other's writes`() throws {
    try HugePageLock.withLock {
      for backing in DemandPagingTests.backings() {
        for granularity in [FaultGranularity.largePage, .basePage] {
          try checkFork(backing, granularity)
        }
      }
    }
  }

  private func checkFork(_ backing: Backing, _ granularity: FaultGranularity) throws {
    let parent = try filled(backing, granularity: granularity)
    let (child, receipt) = try parent.fork()
    #expect(receipt.residentBytes == .mebibytes(32) && receipt.sharedBytes == .mebibytes(32))
    #expect(receipt.copiedBytes == .zero)
    let (touch, childTouch) = (GuestAccess(parent), GuestAccess(child))
    // Some pages are written on this side first, some on the other, some are only read.
    for address in stride(from: 0, to: Self.bytes.upperBound, by: 4096) {
      switch address / 4096 % 1024 {
      case 0: touch.write(address + 2, to: address)
      case 512: childTouch.write(address + 3, to: address)
      default: break
      }
    }
    let wrong = touch.firstMismatch(in: Self.bytes) {
      $0 / 4096 % 1024 == 0 ? $0 + 2 : $0 + 1
    }
    let childWrong = childTouch.firstMismatch(in: Self.bytes) {
      $0 / 4096 % 1024 == 512 ? $0 + 3 : $0 + 1
    }
    #expect(wrong == nil && childWrong == nil, "\(backing) \(granularity)")
    let problems = parent.invariantProblems(with: [child])
    #expect(problems == [], "\(backing) \(granularity)")
    let statistics = try #require(parent.faultHandler).statistics
    #expect(statistics.copiedFaults == 8, "\(backing) \(granularity) \(statistics)")
    let residency = parent.residency(in: Self.all)
    #expect(residency.residentBytes == .mebibytes(32))
    let page = granularity == .largePage || backing == .hugetlb2M ? 2 << 20 : 4096
    // Pages that the child copied belong to the parent alone, except for those that the child reads
    // below its copies.
    #expect(residency.sharedBytes.rawValue == (32 << 20) - 8 * UInt64(page))
  }

  @Test func `a hundred forks share their parent's frames`() throws {
    let parent = try filled(.base, arena: .mebibytes(40))
    let free = parent.arena.allocator.occupancy.free
    var children: [GuestMemory] = []
    for _ in 0..<100 {
      let (child, receipt) = try parent.fork()
      #expect(receipt.sharedBytes == .mebibytes(32))
      children.append(child)
    }
    for (number, child) in children.enumerated() {
      let address = UInt64(number) % 16 * (2 << 20)
      #expect(GuestAccess(child).read(address) == address + 1)
    }
    #expect(parent.arena.allocator.occupancy.free == free)
    GuestAccess(children[7]).write(7, to: 0)
    #expect(parent.arena.allocator.occupancy.free + PageCount(512) == free)
    #expect(GuestAccess(parent).read(0) == 1 && GuestAccess(children[8]).read(0) == 1)
    children = []
    #expect(parent.arena.allocator.occupancy.free == free)
    #expect(parent.residency(in: Self.all).sharedBytes == .zero)
    #expect(parent.invariantProblems() == [])
  }

  @Test func `wired memory is copied at once, and memory unwired before is shared`() throws {
    let parent = try filled(.base, wired: true)
    try parent.unwire(AddressRange(from: Address(8 << 20), to: Address(32 << 20)))
    let (child, receipt) = try parent.fork()
    #expect(receipt.copiedBytes == .mebibytes(8) && receipt.sharedBytes == .mebibytes(24))
    let before = try #require(parent.faultHandler).statistics
    GuestAccess(parent).write(9, to: 4 << 20)
    #expect(parent.faultHandler?.statistics == before)
    #expect(GuestAccess(child).firstMismatch(in: Self.bytes) { $0 + 1 } == nil)
    #expect(parent.invariantProblems(with: [child]) == [])
  }

  @Test func `guests that write while they are forked see their own bytes alone`()
    throws
  {
    let parent = try filled(.base, arena: .mebibytes(256))
    let touch = GuestAccess(parent)
    let findings = ConcurrentFailures()
    let isOver = Atomic<Bool>(false)
    // Each thread counts in separate pages. A fork may have any of the values, but they must not
    // change.
    let ended = runThreads(4, seconds: 120) { number in
      if number == 3 {
        defer { isOver.store(true, ordering: .releasing) }
        do {
          for round in 0..<12 {
            let (child, _) = try parent.fork()
            let childTouch = GuestAccess(child)
            let first = stride(from: UInt64(0), to: 32 << 20, by: 1 << 20).map {
              childTouch.read($0 + 8)
            }
            for address in stride(from: UInt64(0), to: 32 << 20, by: 4 << 20) {
              childTouch.write(99, to: address + 16)
            }
            usleep(2000)
            let second = stride(from: UInt64(0), to: 32 << 20, by: 1 << 20).map {
              childTouch.read($0 + 8)
            }
            if first != second { findings.report("round \(round): the child changed") }
          }
        } catch {
          findings.report("\(error)")
        }
        return
      }
      var counts = [UInt64](repeating: 0, count: 32)
      while !isOver.load(ordering: .acquiring) {
        for page in 0..<32 where page % 3 == number {
          let address = UInt64(page) << 20
          let found = touch.read(address + 8)
          if found != counts[page] { findings.report("\(address): \(found), not \(counts[page])") }
          if touch.read(address + 16) == 99 { findings.report("\(address): the child's byte") }
          counts[page] += 1
          touch.write(counts[page], to: address + 8)
        }
      }
    }
    #expect(ended && findings.all == [])
    #expect(parent.invariantProblems() == [])
  }

  @Test func `a guest without demand paging cannot be forked`() throws {
    let arena = try Arena(size: .mebibytes(8), backing: .base, threads: 1)
    let guest = try GuestMemory(arena: arena, limit: .mebibytes(8))
    let error = #expect(throws: HoldfastError.self) { try guest.fork() }
    #expect(error?.code == .invalidArgument && error?.advice == .enableDemandPaging)
  }

  @Test func `aliases and a segment that is mapped again hold one memory across a fork`() throws {
    let parent = try DemandPagingTests.guest(.base, size: .mebibytes(64))
    let ram = try parent.allocateSegment("ram", size: .mebibytes(4))
    let alias = UInt64(8 << 20)
    try parent.map(ram, at: .zero)
    try parent.map(ram, at: Address(alias))
    let touch = GuestAccess(parent)
    touch.write(1, to: 0)
    touch.write(5, to: 3 << 20)
    #expect(touch.read(alias) == 1)
    let (child, _) = try parent.fork()
    let childTouch = GuestAccess(child)
    touch.write(2, to: 0)
    #expect(touch.read(alias) == 2 && childTouch.read(alias) == 1)
    childTouch.write(3, to: alias)
    #expect(childTouch.read(0) == 3 && touch.read(0) == 2)
    // As a ROM or the memory of a device that moves.
    try parent.unmap(AddressRange(from: .zero, to: Address(4 << 20)))
    try parent.unmap(AddressRange(from: Address(alias), to: Address(alias + (4 << 20))))
    try parent.map(ram, at: Address(16 << 20))
    #expect(touch.read(16 << 20) == 2 && touch.read((16 << 20) + (3 << 20)) == 5)
    #expect(childTouch.read(3 << 20) == 5)
    #expect(parent.invariantProblems(with: [child]) == [])
  }

  @Test func `forks that have ended leave as much memory free as before`() throws {
    let parent = try filled(.base, arena: .mebibytes(96))
    let free = parent.arena.allocator.occupancy.free
    for round in 0..<20 as Range<UInt64> {
      do {
        let (child, _) = try parent.fork()
        GuestAccess(child).write(round, to: 0)
      }
      for address in stride(from: 0, to: Self.bytes.upperBound, by: 2 << 20) {
        GuestAccess(parent).write(round, to: address)
      }
      #expect(parent.arena.allocator.occupancy.free == free, "round \(round)")
    }
    #expect(parent.invariantProblems() == [])
  }
}
