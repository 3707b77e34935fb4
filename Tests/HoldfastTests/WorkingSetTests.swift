import Foundation
import Glibc
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTemplate
import HoldfastTestKit
import Synchronization
import Testing

/// The order of a clone's first touches, and pages that are read ahead of them.
@Suite(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
struct WorkingSetTests {}

extension WorkingSetTests {
  private static let resident = WorkingSetOptions(recording: .never, prefetching: .resident)
  private static let entered = WorkingSetOptions(recording: .never, prefetching: .entered)

  /// Touches units of a clone in an order, and waits until the handler has counted them.
  private func touch(_ guest: GuestMemory, _ units: [UInt64], of size: UInt64 = 2 << 20) {
    let access = GuestAccess(guest)
    for unit in units { #expect(access.read(unit * size) == TemplateWorld.word(unit * size)) }
    guest.faultHandler?.waitUntilIdle()
  }

  private func receipt(_ guest: GuestMemory) throws -> CloneReceipt {
    try #require(guest.cloneReceipts.first)
  }

  @Test func `touches are recorded in their order, and the next clone meets its pages`() throws {
    try HugePageLock.withLock {
      for backing in DemandPagingTests.backings() {
        let world = try TemplateWorld()
        let order: [UInt64] = [5, 1, 7, 3]
        let first = try world.clone(backing, .largePage, WorkingSetOptions())
        touch(first, order + [1, 5])
        // Neither the monitor's accesses nor wires are touches.
        _ = try first.read(Address(2 << 20), count: 8)
        _ = try first.wire(AddressRange(from: Address(12 << 20), to: Address(14 << 20)))
        #expect(try receipt(first).missedTouches == 4 && receipt(first).metTouches == 0)
        let kept = try #require(try first.keepWorkingSets().first)
        #expect(kept.pageSize == .mebibytes(2), "\(backing)")
        #expect(kept.pages.map(\.number) == [5, 1, 7, 3])
        #expect(try world.template().workingSet() == kept)

        let second = try world.clone(backing, .largePage, Self.resident)
        second.waitForPrefetching()
        let before = try receipt(second)
        #expect(before.wantedBytes == .mebibytes(8) && before.readAheadBytes == .mebibytes(8))
        #expect(before.metTouches == 0 && before.missedTouches == 0 && !before.isPrefetching)
        #expect(second.residency(in: TemplateWorld.all).residentBytes == .mebibytes(8))
        touch(second, [1, 0, 5, 1, 6])
        let after = try receipt(second)
        #expect(after.metTouches == 2 && after.missedTouches == 2, "\(after)")
        #expect(second.faultHandler?.statistics.pagedFaults == 2)
        #expect(second.invariantProblems() == [])

        let third = try world.clone(backing, .largePage, Self.entered)
        third.waitForPrefetching()
        touch(third, order)
        #expect(third.faultHandler?.statistics.demandFaults == 0, "\(backing)")
        #expect(try receipt(third).readAheadBytes == .mebibytes(8))
        touch(third, [0])
        #expect(try receipt(third).missedTouches == 1)
        #expect(world.mismatch(third) == nil)
        #expect(third.invariantProblems() == [])
      }
    }
  }

  @Test func `base pages are recorded and met one by one`() throws {
    let world = try TemplateWorld()
    let order: [UInt64] = [700, 3, 1200, 40, 2047]
    let first = try world.clone(.base, .basePage, WorkingSetOptions())
    touch(first, order, of: 4096)
    let kept = try #require(try first.keepWorkingSets().first)
    #expect(kept.pageSize == .kibibytes(4) && kept.pages.map(\.number) == [700, 3, 1200, 40, 2047])
    let second = try world.clone(.base, .basePage, Self.resident)
    second.waitForPrefetching()
    #expect(try receipt(second).readAheadBytes == .kibibytes(20))
    touch(second, [3, 2047, 100, 700, 101], of: 4096)
    let after = try receipt(second)
    // The page fault on 100 has read 101 too, but that was not ahead of the guest.
    #expect(after.metTouches == 3 && after.missedTouches == 2, "\(after)")
    let third = try world.clone(.base, .basePage, Self.entered)
    third.waitForPrefetching()
    touch(third, order, of: 4096)
    #expect(third.faultHandler?.statistics.demandFaults == 0)
    #expect(world.mismatch(third) == nil)
    #expect(third.invariantProblems() == [])
  }

  @Test func `written pages are recorded as such`() throws {
    let world = try TemplateWorld()
    let guest = try world.clone(.base, .largePage, WorkingSetOptions())
    touch(guest, [2])
    GuestAccess(guest).write(1, to: 6 << 20)
    guest.faultHandler?.waitUntilIdle()
    let set = try #require(try guest.keepWorkingSets().first)
    #expect(set.pages == [.init(2, isWritten: false), .init(3, isWritten: true)])
  }

  @Test func `a working set is recorded once, again if asked for, or not at all`() throws {
    let world = try TemplateWorld()
    func run(_ options: WorkingSetOptions, _ units: [UInt64]) throws -> [UInt32]? {
      do {
        let guest = try world.clone(.base, .largePage, options)
        guest.waitForPrefetching()
        touch(guest, units)
      }
      // The end of the guest keeps what it recorded.
      return try world.template().workingSet()?.pages.map(\.number)
    }
    #expect(try run(.off, [1]) == nil)
    #expect(try run(WorkingSetOptions(recordingTime: .zero), [1]) == nil)
    #expect(try run(WorkingSetOptions(), []) == nil)
    #expect(try run(WorkingSetOptions(), [1]) == [1])
    #expect(try run(WorkingSetOptions(), [2]) == [1])
    // A clone that records is not spared page faults: it has to see its touches.
    let again = WorkingSetOptions(recording: .always, prefetching: .entered)
    #expect(try run(again, [3, 1, 4]) == [3, 1, 4])
    // Of two that began without a working set the first one counts.
    try world.removeRecord()
    let early = try world.clone(.base, .largePage, WorkingSetOptions())
    let late = try world.clone(.base, .largePage, WorkingSetOptions())
    touch(early, [5])
    touch(late, [6])
    #expect(try late.keepWorkingSets().count == 1)
    #expect(try early.keepWorkingSets().isEmpty)
    #expect(try world.template().workingSet()?.pages.map(\.number) == [6])
    // Recording has ended.
    touch(late, [7])
    #expect(try receipt(late).recordedTouches == 1)
  }

  @Test func `records that are wrong read what they have within the memory`() throws {
    let world = try TemplateWorld()
    let large: UInt64 = 2 << 20
    func readAhead(
      _ record: [UInt8], _ granularity: FaultGranularity = .largePage
    ) throws -> ByteCount {
      try world.setRecord(record)
      let guest = try world.clone(.base, granularity, Self.resident)
      guest.waitForPrefetching()
      #expect(world.mismatch(guest) == nil)
      let found = try receipt(guest)
      #expect(found.prefetchProblem == nil)
      return found.readAheadBytes
    }
    typealias World = TemplateWorld
    #expect(try readAhead(World.record(pageSize: large, [1, 1, 2, 1])) == .mebibytes(4))
    #expect(
      try readAhead(World.record(pageSize: large, [9, 8, .max, 7, 1 << 31 | 3])) == .mebibytes(4))
    #expect(try readAhead(World.record(pageSize: large, [1, 2], count: 3)) == .zero)
    #expect(try readAhead(World.record(pageSize: large, [1, 2], count: .max)) == .zero)
    #expect(try readAhead(World.record(pageSize: 3 << 20, [1])) == .zero)
    #expect(try readAhead(World.record(pageSize: 0, [0])) == .zero)
    #expect(try readAhead(World.record(pageSize: 1 << 63, [0, 1])) == .zero)
    let foreign = Array("holdfast-touched-2\n".utf8)
    for record in [[], foreign, [UInt8](repeating: 0xFF, count: 1 << 20)] {
      #expect(try readAhead(record) == .zero)
    }
    // Of other page sizes.
    #expect(try readAhead(World.record(pageSize: 4096, [0, 3, 511, 600])) == .mebibytes(4))
    let twice = try world.clone(.base, .largePage, Self.resident)
    #expect(try receipt(twice).wantedBytes == .mebibytes(4))
    #expect(try readAhead(World.record(pageSize: large, [3]), .basePage) == .mebibytes(2))
    #expect(try readAhead(World.record(pageSize: 4096, [9, 8, 10]), .basePage) == .kibibytes(12))
  }

  @Test func `without free frames prefetching stops, and the guest goes on with what it has`()
    throws
  {
    let world = try TemplateWorld()
    try world.setRecord(TemplateWorld.record(pageSize: 2 << 20, Array(0..<8)))
    for options in [Self.resident, Self.entered] {
      let failures = Failures()
      let guest = try world.clone(.base, .largePage, arena: .mebibytes(6), options) {
        failures.add($0.error)
        return .refuse
      }
      guest.waitForPrefetching()
      let receipt = try receipt(guest)
      #expect(receipt.prefetchProblem == "no free frame is left" && !receipt.isPrefetching)
      #expect(receipt.readAheadBytes == .mebibytes(6) && receipt.wantedBytes == .mebibytes(16))
      let resident = (0..<8).filter { unit in
        let start = Address(UInt64(unit) << 21)
        return guest.residency(in: AddressRange(from: start, to: start + .mebibytes(2)))
          .residentBytes == .mebibytes(2)
      }
      #expect(resident.count == 3)
      touch(guest, resident.map { UInt64($0) })
      let other = try #require((0..<8).first { !resident.contains($0) })
      #expect(GuestAccess(guest).readByKernel(UInt64(other) << 21) == EFAULT)
      #expect(failures.codes == [.resourceShortage])
      #expect(guest.invariantProblems() == [])
    }
  }

  @Test func `a memory file that becomes shorter ends the prefetching`() throws {
    let world = try TemplateWorld()
    try world.setRecord(TemplateWorld.record(pageSize: 2 << 20, [7, 6, 5]))
    let arena = try Arena(size: .mebibytes(24), for: .paging, backing: .base, threads: 2)
    let guest = try GuestMemory(
      arena: arena, limit: .mebibytes(16), demandPaging: DemandPaging())
    let segment = try guest.cloneSegment("ram", of: world.template(), workingSet: Self.resident)
    try #require(truncate(world.template().memoryPath, 8 << 20) == 0)
    try guest.map(segment, at: .zero)
    guest.waitForPrefetching()
    let receipt = try receipt(guest)
    #expect(receipt.readAheadBytes == .zero && receipt.prefetchProblem?.contains("shorter") == true)
    touch(guest, [0, 1, 2, 3])
  }

  @Test func `guests end, are stopped and unmapped while their pages are read`() throws {
    let world = try TemplateWorld()
    var pages = Array(UInt32(0)..<4096)
    pages.shuffle()
    try world.setRecord(TemplateWorld.record(pageSize: 4096, pages))
    var random = SeededGenerator(seed: 3)
    for round in 0..<60 {
      let options = WorkingSetOptions(
        recording: .never, prefetching: round % 2 == 0 ? .resident : .entered, threads: 3)
      let guest = try world.clone(.base, round % 3 == 0 ? .largePage : .basePage, options)
      usleep(UInt32.random(in: 0..<3000, using: &random))
      switch round % 5 {
      case 0: guest.faultHandler?.stop()
      case 1: try guest.unmap(AddressRange(from: Address(4 << 20), to: Address(12 << 20)))
      case 2: guest.stopPrefetching()
      case 3: touch(try guest.fork().child, [1, 6, 2])
      default: break
      }
      if round % 5 != 0 {
        guest.waitForPrefetching()
        #expect(guest.invariantProblems() == [])
      }
    }
    // Nothing keeps the template open.
    #expect(try world.store.remove(TemplateWorld.base) == .mebibytes(16))
  }

  @Test func `threads that touch while pages are read find the template's bytes`() throws {
    let world = try TemplateWorld()
    var pages = Array(UInt32(0)..<4096)
    pages.shuffle()
    try world.setRecord(TemplateWorld.record(pageSize: 4096, pages))
    for round in 0..<8 {
      for granularity in [FaultGranularity.largePage, .basePage] {
        let guest = try world.clone(
          .base, granularity,
          WorkingSetOptions(
            recording: .never, prefetching: round % 2 == 0 ? .resident : .entered, threads: 2))
        let access = GuestAccess(guest)
        let wrong = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: 3) { thread in
          var random = SeededGenerator(seed: UInt64(round * 3 + thread))
          for _ in 0..<3000 {
            let address = UInt64.random(in: 0..<(2 << 20), using: &random) * 8
            if access.read(address) != TemplateWorld.word(address) {
              wrong.add(1, ordering: .relaxed)
            }
          }
        }
        #expect(wrong.load(ordering: .relaxed) == 0)
        guest.waitForPrefetching()
        guest.faultHandler?.waitUntilIdle()
        let receipt = try receipt(guest)
        let units = granularity == .largePage ? 8 : 4096
        #expect(receipt.metTouches + receipt.missedTouches <= units)
        #expect(receipt.readAheadBytes <= .mebibytes(16))
        #expect(world.mismatch(guest) == nil)
        #expect(guest.invariantProblems() == [])
      }
    }
  }

  @Test func `a receipt is the same after encoding, and reads as a line`() throws {
    let world = try TemplateWorld()
    try world.setRecord(TemplateWorld.record(pageSize: 2 << 20, [1, 2]))
    let guest = try world.clone(.base, .largePage, Self.resident)
    guest.waitForPrefetching()
    touch(guest, [2, 3])
    let receipt = try receipt(guest)
    #expect(
      receipt.description.hasPrefix("clone of base: 4 MiB of 4 MiB read ahead in ")
        && receipt.description.hasSuffix("1 touches met, 1 missed (pages of 2 MiB)"),
      "\(receipt)")
    let copy = try JSONDecoder().decode(
      CloneReceipt.self, from: JSONEncoder().encode(receipt))
    #expect(copy.metTouches == 1 && copy.missedTouches == 1 && copy.wantedBytes == .mebibytes(4))
    #expect(copy.template == "base" && copy.readAheadBytes == .mebibytes(4))
  }
}
