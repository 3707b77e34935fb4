import Foundation
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

@testable import HoldfastKVM

/// What ends the serving of faults by processors: from then on handler threads serve them.
@Suite(
  .enabled(
    if: HostNeeds.kvm && HostNeeds.userFault,
    "\(HostNeeds.kvmComment); \(HostNeeds.userFaultComment)"))
struct HandedOverGuestTests {}

extension HandedOverGuestTests {
  private static let limit = Duration.seconds(120)

  private static func guest(size: ByteCount = .mebibytes(8), arena: ByteCount? = nil) throws
    -> DemandGuest
  {
    try DemandGuest(size: size, arena: arena, paging: ProcessorServingTests.paging)
  }

  private func fill(
    _ runner: GuestRunner, _ range: AddressRange, seed: UInt64 = 1
  ) throws {
    let result = try runner.run(
      GuestTask(.fillAndCheck, over: [range], seed: seed), timeLimit: Self.limit)
    #expect(result.wrongWords == 0 && result.isComplete)
  }

  @Test func `reading the host address leaves all faults to handler threads`() throws {
    let guest = try Self.guest()
    let runner = try GuestRunner(memory: guest.memory)
    let half = AddressRange(from: .zero, to: Address(4 << 20))
    try fill(runner, half, seed: 4)
    #expect(guest.statistics.processorFaults == 4 << 8)
    let start = UnsafeMutablePointer<UInt64>(bitPattern: UInt(guest.memory.hostAddress))!
    #expect(guest.memory.faultServing == .handlerThreads)
    // A page that the guest accessed, one of the same region that it did not, and one elsewhere.
    #expect(start[0] == GuestProgram.pattern(at: .zero, seed: 4))
    start[512 * 1500] = 77
    #expect(start[512 * 2000] == 0)
    try fill(runner, guest.range, seed: 5)
    #expect(guest.statistics.processorFaults == 4 << 8)
    #expect(guest.statistics.demandFaults >= 4 << 8 - 2)
    #expect(guest.memory.invariantProblems() == [])
    withExtendedLifetime(guest) {}
  }

  @Test func `a fork has the guest's bytes, and handler threads serve both`() throws {
    let guest = try Self.guest(arena: .mebibytes(32))
    let runner = try GuestRunner(memory: guest.memory)
    let half = AddressRange(from: .zero, to: Address(4 << 20))
    try fill(runner, half, seed: 4)
    let (child, _) = try guest.memory.fork()
    #expect(guest.memory.faultServing == .handlerThreads && child.faultServing == .handlerThreads)
    try fill(runner, guest.range, seed: 6)
    let check = try GuestProgram.check.run(on: child, over: [half], seed: 4)
    #expect(check.wrongWords == 0)
    let rest = AddressRange(from: half.end, to: guest.range.end)
    #expect(try GuestProgram.scan.run(on: child, over: [rest]).wrongWords == 0)
    #expect(guest.memory.invariantProblems(with: [child]) == [])
    #expect(guest.statistics.processorFaults == 4 << 8)
    withExtendedLifetime(guest) {}
  }

  @Test func `pages that were removed are left to handler threads, others are not`() throws {
    let guest = try Self.guest(arena: .mebibytes(32))
    let memory = guest.memory
    let runner = try GuestRunner(memory: memory)
    // Every second page of the first region.
    let region = AddressRange(from: .zero, to: Address(2 << 20))
    let result = try runner.run(
      GuestTask(.fill, over: [region], stride: .kibibytes(8), seed: 2), timeLimit: Self.limit)
    #expect(result.isComplete && guest.statistics.processorFaults == 256)
    try memory.unmap(AddressRange(from: Address(0x4000), to: Address(0x6000)))
    let other = try memory.allocateSegment("other", size: .kibibytes(8))
    try memory.map(other, at: Address(0x4000))
    #expect(memory.faultServing == .processors)
    try fill(runner, AddressRange(from: Address(0x4000), to: Address(0x6000)), seed: 3)
    #expect(guest.statistics.processorFaults == 256 && guest.statistics.demandFaults == 2)
    // The pages around keep their bytes.
    let check = try runner.run(
      GuestTask(
        .check, over: [AddressRange(from: Address(0x6000), to: region.end)],
        stride: .kibibytes(8), seed: 2), timeLimit: Self.limit)
    #expect(check.wrongWords == 0)
    try fill(runner, AddressRange(from: Address(4 << 20), to: Address(6 << 20)))
    #expect(guest.statistics.processorFaults == 256 + 512)
    #expect(memory.invariantProblems() == [])
    withExtendedLifetime(guest) {}
  }

  @Test func `what may have contents is left to handler threads`() throws {
    let arena = try Arena(size: .mebibytes(32), for: .paging, backing: .base, threads: 2)
    let memory = try GuestMemory(
      arena: arena, limit: .mebibytes(16), demandPaging: ProcessorServingTests.paging)
    let runner = try GuestRunner(memory: memory)
    let handler = try #require(memory.faultHandler)
    // Written through its first mapping, then read through the second one.
    let shared = try memory.allocateSegment("shared", size: .mebibytes(2))
    let first = try memory.map(shared, at: .zero).range
    try fill(runner, AddressRange(from: .zero, to: Address(1 << 20)), seed: 7)
    #expect(handler.statistics.processorFaults == 256)
    try memory.map(shared, at: Address(4 << 20))
    let word = try memory.read(Address(4 << 20), count: 8)
    #expect(word == (try memory.read(.zero, count: 8)) && word != [UInt8](repeating: 0, count: 8))
    try fill(runner, first, seed: 9)
    try fill(runner, AddressRange(from: Address(4 << 20), to: Address(6 << 20)), seed: 8)
    #expect(handler.statistics.processorFaults == 256)
    // A device's.
    let ram = try memory.allocateSegment("ram", size: .mebibytes(4))
    try memory.map(ram, at: Address(8 << 20))
    let held = AddressRange(from: Address(8 << 20), to: Address(8 << 20 + 16 << 12))
    let hold = try memory.hold(held, for: .readWrite)
    try fill(runner, held)
    #expect(handler.statistics.processorFaults == 256)
    hold.release()
    // A pager's.
    let path = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try memory.save(first, to: path)
    let restored = try memory.restoreSegment("restored", from: path)
    try memory.map(restored, at: Address(12 << 20))
    let all = AddressRange(from: Address(12 << 20), to: Address(14 << 20))
    let bytes = try memory.read(Address(4 << 20), count: 2 << 20)
    let found = try runner.run(
      GuestTask(.scanAll, over: [all]), timeLimit: Self.limit)
    #expect(found.isComplete && handler.statistics.processorFaults == 256)
    #expect(try memory.read(all.start, count: 2 << 20) == bytes)
    // What is the guest's alone still is.
    try fill(runner, AddressRange(from: Address(10 << 20), to: Address(11 << 20)))
    #expect(handler.statistics.processorFaults == 512)
    #expect(memory.invariantProblems() == [])
  }

  @Test func `a guest runs while its memory is wired, unwired, unmapped and moved`() throws {
    let guest = try Self.guest(size: .mebibytes(16), arena: .mebibytes(64))
    let memory = guest.memory
    let beside = try memory.allocateSegment("beside", size: .mebibytes(2))
    let part = AddressRange(from: Address(14 << 20), to: Address(16 << 20))
    try memory.unmap(part)
    let used = AddressRange(from: .zero, to: part.start)
    let runner = try GuestRunner(memory: memory)
    let run = try runner.start(GuestTask(.touch, over: [used], seed: 3))
    var rounds = 0
    let deadline = ContinuousClock.now + .seconds(60)
    while rounds < 60 || run.passes < 3, ContinuousClock.now < deadline {
      switch rounds % 5 {
      case 0: try memory.wire(AddressRange(from: .zero, to: Address(4 << 20)))
      case 1: try memory.unwire(AddressRange(from: .zero, to: Address(4 << 20)))
      case 2: memory.arena.memory.compact()
      case 3: try memory.map(beside, at: part.start)
      default: try memory.unmap(part)
      }
      rounds += 1
    }
    run.stop()
    let result = try run.wait(timeLimit: Self.limit)
    #expect(result.wrongWords == 0 && result.isComplete && result.passes >= 3, "\(result)")
    #expect(guest.statistics.processorFaults > 0 && guest.statistics.failures == 0)
    #expect(memory.faultServing == .processors)
    #expect(memory.invariantProblems() == [])
    withExtendedLifetime(guest) {}
  }

  // MARK: What KVM reports

  @Test(arguments: [FaultReports.none, .data, .all])
  func `handler threads serve where KVM does not report enough`(reports: FaultReports) throws {
    for need in [FaultReports.data, .all] {
      let guest = try Self.guest()
      let machine = try VirtualMachine()
      try machine.addSlots(of: guest.memory, flags: [], allowing: need, reports: reports)
      let isOwn = reports >= need
      #expect(guest.memory.faultServing == (isOwn ? .processors : .handlerThreads))
      let runner = try GuestRunner(machine: machine, processors: 1)
      try fill(runner, guest.range)
      #expect(guest.statistics.processorFaults == (isOwn ? 8 << 8 : 0))
      #expect(guest.statistics.demandFaults == (isOwn ? 0 : 8 << 8))
    }
  }

  @Test func `handler threads serve where KVM records what the guest writes`() throws {
    let guest = try Self.guest()
    let runner = try GuestRunner(memory: guest.memory, flags: .logDirty)
    #expect(guest.memory.faultServing == .handlerThreads)
    try fill(runner, AddressRange(from: .zero, to: Address(1 << 20)))
    #expect(guest.statistics.processorFaults == 0)
  }

  @Test func `a machine that has processors already serves no faults`() throws {
    let guest = try Self.guest()
    let machine = try VirtualMachine()
    let runner = try GuestRunner(machine: machine, processors: 1)
    try machine.addSlots(of: guest.memory, flags: [], allowing: .data, reports: .all)
    #expect(guest.memory.faultServing == .handlerThreads)
    try fill(runner, AddressRange(from: .zero, to: Address(1 << 20)))
    #expect(guest.statistics.processorFaults == 0)
  }

  @Test func `this host's KVM was tried, and what it reports is true`() throws {
    let host = FaultReports.host
    let guest = try Self.guest()
    let machine = try VirtualMachine()
    try machine.addSlots(of: guest.memory)
    #expect((guest.memory.faultServing == .processors) == (host == .all))
    let tables = FaultReports.hasHardwareTables(HostFiles(root: "/"))
    #expect(host != .all || tables)
    #expect(!FaultReports.hasHardwareTables(HostFiles(root: "/proc/self/nothing")))
  }

  @Test func `a fault that KVM_RUN reports is served, and one that stays is an exit`() throws {
    let guest = try Self.guest()
    try guest.memory.unmap(AddressRange(from: Address(4 << 20), to: guest.range.end))
    let machine = try VirtualMachine()
    try machine.addSlots(of: guest.memory, flags: [], allowing: .data, reports: .all)
    func fault(_ address: UInt64?, errno: Int32? = EFAULT) -> VMExit.MemoryFault {
      .init(address: address.map(Address.init), isWrite: nil, errno: errno)
    }
    var faults = ReportedFaults()
    func isServed(_ fault: VMExit.MemoryFault) -> Bool { faults.serve(fault, machine) }
    for page in UInt64(0)..<100 {
      #expect(isServed(fault(page << 12 + 8)))
      #expect(isServed(fault(page << 12 + 8)))
    }
    #expect(guest.statistics.zeroedFaults == 100 && guest.statistics.processorFaults == 200)
    #expect(guest.memory.residency(in: guest.range).residentBytes == .kibibytes(400))
    for _ in 0..<16 { #expect(isServed(fault(0x20_0000))) }
    #expect(!isServed(fault(0x20_0000)))
    // A hole is left to a handler thread, once.
    #expect(isServed(fault(5 << 20)))
    #expect(!isServed(fault(5 << 20)))
    #expect(!isServed(fault(nil)))
    #expect(!isServed(fault(0x30_0000, errno: 133)))
    #expect(!isServed(fault(9 << 20)))
  }
}
