import Glibc
import Holdfast
import HoldfastCore
import HoldfastKVM
import HoldfastLinux
import HoldfastTestKit
import Synchronization
import Testing

/// A guest with demand paging.
struct DemandGuest {
  let memory: GuestMemory
  let range: AddressRange

  /// The host's backings that allow demand paging.
  static func backings(_ size: ByteCount) -> [Backing] {
    [.base] + (HostNeeds.sharedHugePages ? [.thp] : [])
      + (HostNeeds.hugePages(size) ? [.hugetlb2M] : [])
  }

  init(
    _ backing: Backing = .base, size: ByteCount = .mebibytes(32), arena: ByteCount? = nil,
    paging: DemandPaging = DemandPaging()
  ) throws {
    let arena = try Arena(size: arena ?? size, for: .paging, backing: backing, threads: 2)
    try self.init(on: arena, size: size, paging: paging)
  }

  init(on arena: Arena, size: ByteCount, paging: DemandPaging = DemandPaging()) throws {
    memory = try GuestMemory(arena: arena, limit: size, demandPaging: paging)
    let ram = try memory.allocateSegment("ram", size: size)
    range = try memory.map(ram, at: .zero).range
    try memory.freeSegment(ram)
  }

  var statistics: FaultStatistics { memory.faultHandler!.statistics }

  func word(at address: Address) throws -> UInt64 {
    try memory.read(address, count: 8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}

/// Guests of KVM on memory that was never wired.
@Suite(
  .enabled(
    if: HostNeeds.kvm && HostNeeds.userFault,
    "\(HostNeeds.kvmComment); \(HostNeeds.userFaultComment)"))
struct DemandGuestTests {}

extension DemandGuestTests {
  private static let limit = Duration.seconds(120)

  @Test func `a guest finds zeros and keeps what it writes, on every backing`() throws {
    try HugePageLock.withLock {
      for backing in DemandGuest.backings(.mebibytes(64)) { try check(backing) }
    }
  }

  private func check(_ backing: Backing) throws {
    let guest = try DemandGuest(backing, size: .mebibytes(64))
    let runner = try GuestRunner(memory: guest.memory, processors: 2)
    let pages = UInt64(64 << 8)
    let fresh = try runner.run(GuestTask(.scan, over: [guest.range]), timeLimit: Self.limit)
    #expect(fresh.wrongWords == 0 && fresh.touches == pages && fresh.exits == [.halted: 2])
    // A handler that came too late may wake all before the other has counted its work.
    #expect(eventually { guest.statistics.zeroedFaults == 32 })
    let statistics = guest.statistics
    #expect(statistics.zeroedFaults == 32 && statistics.demandFaults >= 32, "\(statistics)")
    #expect(statistics.failures == 0 && statistics.copyFaults == 0)
    let filled = try runner.run(
      GuestTask(.fillAndCheck, over: [guest.range], seed: 41), timeLimit: Self.limit)
    #expect(filled.wrongWords == 0 && filled.touches == 2 * pages && filled.exits == [.halted: 2])
    for page in stride(from: UInt64(0), to: pages, by: 7) {
      let address = Address(page << 12)
      #expect(try guest.word(at: address) == GuestProgram.pattern(at: address, seed: 41))
    }
    // Wired, the bytes are the same, and nothing faults any more.
    try guest.memory.wire(guest.range)
    let wired = guest.statistics
    #expect(wired.zeroedFaults == 32 && wired.copiedFaults == 0)
    let walk = GuestTask(.walkCheck, over: [guest.range], seed: 41)
    #expect(try runner.run(walk, timeLimit: Self.limit).wrongWords == 0)
    #expect(guest.statistics == wired)
    #expect(guest.memory.invariantProblems() == [])
    withExtendedLifetime(guest) {}
  }

  @Test(arguments: [FaultGranularity.basePage, .largePage])
  func `a walk in random order populates each page once`(granularity: FaultGranularity) throws {
    let guest = try DemandGuest(paging: DemandPaging(granularity: granularity))
    let runner = try GuestRunner(memory: guest.memory, processors: 2)
    let fill = GuestTask(.walkFill, over: [guest.range], seed: 5)
    #expect(try runner.run(fill, timeLimit: Self.limit).touches == 32 << 8)
    let count: UInt64 = granularity == .basePage ? 32 << 8 : 16
    #expect(eventually { guest.statistics.zeroedFaults == count }, "\(guest.statistics)")
    let check = GuestTask(.check, over: [guest.range], seed: 5)
    #expect(try runner.run(check, timeLimit: Self.limit).wrongWords == 0)
    #expect(guest.memory.residency(in: guest.range).residentBytes == guest.range.length)
    #expect(guest.memory.invariantProblems() == [])
    withExtendedLifetime(guest) {}
  }

  /// Written bytes stay, whatever happens to the pages meanwhile.
  @Test func `a guest runs while its memory is wired, unwired, forked and moved`() throws {
    try HugePageLock.withLock {
      for backing in DemandGuest.backings(.mebibytes(128)) { try checkChanges(backing) }
    }
  }

  private func checkChanges(_ backing: Backing) throws {
    let guest = try DemandGuest(
      backing, size: .mebibytes(16), arena: .mebibytes(128),
      paging: DemandPaging(granularity: .basePage))
    let runner = try GuestRunner(memory: guest.memory)
    let run = try runner.start(GuestTask(.touch, over: [guest.range], seed: 3))
    var children: [GuestMemory] = []
    var rounds = 0
    let deadline = ContinuousClock.now + .seconds(60)
    while rounds < 60 || run.passes < 3, ContinuousClock.now < deadline {
      switch rounds % 6 {
      case 0: try guest.memory.wire(guest.range)
      case 1: try guest.memory.unwire(guest.range)
      case 2, 4:
        let before = run.passes
        let (child, _) = try guest.memory.fork()
        try checkMoment(of: child, guest.range, passes: before...run.passes + 1)
        children.append(child)
      case 3: guest.memory.arena.memory.compact()
      default: if children.count > 3 { children.removeFirst(2) }
      }
      rounds += 1
    }
    run.stop()
    let result = try run.wait(timeLimit: Self.limit)
    #expect(result.wrongWords == 0 && result.isComplete && result.passes >= 3, "\(result)")
    #expect(guest.memory.invariantProblems(with: children) == [], "\(backing)")
    #expect(guest.statistics.copiedFaults > 0 && guest.statistics.failures == 0)
    // No processor writes now, so a fork has exactly the guest's bytes.
    let (child, receipt) = try guest.memory.fork()
    #expect(receipt.residentBytes == guest.range.length)
    let seed = 3 + 2 * result.passes
    let childRunner = try GuestRunner(memory: child)
    let again = try runner.start(GuestTask(.touch, over: [guest.range], seed: 77))
    let check = try childRunner.run(
      GuestTask(.check, over: [guest.range], seed: seed), timeLimit: Self.limit)
    #expect(check.wrongWords == 0, "\(backing): \(check)")
    again.stop()
    #expect(try again.wait(timeLimit: Self.limit).wrongWords == 0)
    #expect(
      try childRunner.run(
        GuestTask(.walkCheck, over: [guest.range], seed: seed), timeLimit: Self.limit
      ).wrongWords == 0)
    withExtendedLifetime(guest) {}
  }

  /// Every page of a fork has a value that the guest wrote during the fork.
  private func checkMoment(
    of child: GuestMemory, _ range: AddressRange, passes: ClosedRange<UInt64>
  ) throws {
    // Wait until the guest has accessed every page once.
    guard passes.lowerBound > 0 else { return }
    for offset in stride(from: UInt64(0), to: range.length.rawValue, by: 64 << 12) {
      let address = range.start + ByteCount(offset)
      let word = try child.read(address, count: 8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
      let isOne = passes.contains {
        GuestProgram.pattern(at: address, seed: 3, pass: $0) == word
      }
      #expect(isOne, "\(address): \(word) is of no pass in \(passes)")
    }
  }
}
