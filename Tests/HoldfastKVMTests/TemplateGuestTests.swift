import Foundation
import Holdfast
import HoldfastCore
import HoldfastKVM
import HoldfastLinux
import HoldfastTemplate
import HoldfastTestKit
import Testing

/// Guests of KVM that are clones of a template.
@Suite(
  .enabled(
    if: HostNeeds.kvm && HostNeeds.userFault,
    "\(HostNeeds.kvmComment); \(HostNeeds.userFaultComment)"))
struct TemplateGuestTests {}

extension TemplateGuestTests {
  private static let size = ByteCount.mebibytes(128)
  private static let all = AddressRange(from: .zero, to: .zero + size)

  /// A template of which a guest program has written each word that the others read.
  private func template(_ place: TemplatePlace, seed: UInt64) throws -> Template {
    let guest = try DemandGuest(size: Self.size)
    let filled = try GuestProgram.fill.run(on: guest.memory, over: [Self.all], seed: seed)
    try #require(filled.isComplete)
    let store = try TemplateStore(mount: place.path)
    return try guest.memory.seal(Self.all, to: store, as: TemplateName("base")).template
  }

  private func clone(
    _ template: Template, _ arena: Arena, _ options: WorkingSetOptions,
    _ granularity: FaultGranularity = .largePage
  ) throws -> GuestMemory {
    try GuestMemory(
      cloning: template, arena: arena, demandPaging: DemandPaging(granularity: granularity),
      workingSet: options)
  }

  @Test func `clones run at once, diverge, and leave the template as it was`() throws {
    try HugePageLock.withLock {
      for kind in [TemplatePlace.Kind.tmpfs, .hugetlbfs] {
        guard kind != .hugetlbfs || HostNeeds.isRoot && HostNeeds.hugePages(.mebibytes(256)) else {
          continue
        }
        let place = try #require(TemplatePlace(kind))
        let template = try template(place, seed: 7)
        let arena = try Arena(size: .mebibytes(384), for: .paging, backing: .base, threads: 2)
        let clones = try (0..<2).map { _ in try clone(template, arena, WorkingSetOptions()) }
        let runners = try clones.map { try GuestRunner(memory: $0, processors: 2) }
        // Both read what the template has and write a pattern of their own, at once.
        let reads = try runners.map {
          try $0.start(GuestTask(.walkCheck, over: [Self.all], seed: 7))
        }
        for run in reads { #expect(try run.wait(timeLimit: .seconds(120)).wrongWords == 0) }
        let writes = try runners.enumerated().map { number, runner in
          try runner.start(GuestTask(.walkFill, over: [Self.all], seed: UInt64(20 + 2 * number)))
        }
        for run in writes { #expect(try run.wait(timeLimit: .seconds(120)).isComplete) }
        for (number, runner) in runners.enumerated() {
          let task = GuestTask(.check, over: [Self.all], seed: UInt64(20 + 2 * number))
          #expect(try runner.run(task, timeLimit: .seconds(120)).wrongWords == 0, "\(kind)")
        }
        for guest in clones {
          #expect(guest.invariantProblems(with: clones.filter { $0 !== guest }) == [])
        }
        let third = try clone(template, arena, .off)
        #expect(
          try GuestProgram.check.run(on: third, over: [Self.all], seed: 7).wrongWords == 0,
          "\(kind)")
      }
    }
  }

  @Test func `a program's random order is recorded and read ahead`() throws {
    let place = try #require(TemplatePlace(.tmpfs))
    let template = try template(place, seed: 9)
    let arena = try Arena(size: Self.size, for: .paging, backing: .base, threads: 2)
    // Every tenth page of 2 MiB, in an order that is the same each time.
    let task = GuestTask(.walkCheck, over: [Self.all], stride: .mebibytes(20), seed: 9)
    func run(_ options: WorkingSetOptions, waits: Bool = false) throws -> (
      GuestMemory, GuestResult, FaultStatistics
    ) {
      let guest = try clone(template, arena, options)
      if waits { guest.waitForPrefetching() }
      let result = try GuestRunner(memory: guest).run(task, timeLimit: .seconds(120))
      #expect(result.wrongWords == 0 && result.touches == 7)
      let handler = try #require(guest.faultHandler)
      #expect(eventually { handler.statistics.demandFaults >= 7 || waits })
      return (guest, result, handler.statistics)
    }
    let order: [UInt32]
    do {
      let (guest, _, statistics) = try run(WorkingSetOptions(prefetching: .off))
      #expect(statistics.pagedFaults == 7)
      order = try #require(try guest.keepWorkingSets().first).pages.map(\.number)
    }
    #expect(order.sorted() == [0, 10, 20, 30, 40, 50, 60] && order != order.sorted())
    do {
      // The same program touches in the same order.
      let (guest, _, _) = try run(WorkingSetOptions(recording: .always, prefetching: .off))
      #expect(try guest.keepWorkingSets().first?.pages.map(\.number) == order)
    }
    do {
      let (guest, _, statistics) = try run(
        WorkingSetOptions(recording: .never, prefetching: .resident), waits: true)
      let receipt = try #require(guest.cloneReceipts.first)
      #expect(receipt.metTouches == 7 && receipt.missedTouches == 0, "\(receipt)")
      #expect(receipt.readAheadBytes == .mebibytes(14) && statistics.pagedFaults == 0)
    }
    do {
      let (guest, _, statistics) = try run(
        WorkingSetOptions(recording: .never, prefetching: .entered), waits: true)
      #expect(statistics.demandFaults == 0)
      #expect(guest.cloneReceipts.map(\.readAheadBytes) == [.mebibytes(14)])
    }
    do {
      // While it runs, each page is met or missed.
      let (guest, _, _) = try run(WorkingSetOptions(recording: .never, prefetching: .resident))
      guest.waitForPrefetching()
      let receipt = try #require(guest.cloneReceipts.first)
      #expect(receipt.metTouches + receipt.missedTouches == 7, "\(receipt)")
      #expect(guest.invariantProblems() == [])
    }
  }

  @Test func `processors that serve their own faults leave a clone's to handler threads`() throws {
    let place = try #require(TemplatePlace(.tmpfs))
    let template = try template(place, seed: 3)
    let arena = try Arena(size: Self.size, for: .paging, backing: .base, threads: 2)
    let guest = try GuestMemory(
      cloning: template, arena: arena,
      demandPaging: DemandPaging(granularity: .basePage, serving: .processors))
    let task = GuestTask(.check, over: [Self.all], stride: .mebibytes(1), seed: 3)
    #expect(try GuestRunner(memory: guest).run(task).wrongWords == 0)
    #expect(guest.cloneReceipts.first?.missedTouches == 128)
    #expect(guest.invariantProblems() == [])
  }
}
