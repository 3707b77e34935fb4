import Glibc
import Holdfast
import HoldfastCore
import HoldfastKVM
import HoldfastLinux
import HoldfastTestKit
import Testing

/// Guests that run on Holdfast's memory.
@Suite(.enabled(if: HostNeeds.kvm, "\(HostNeeds.kvmComment)"))
struct GuestProgramTests {}

extension GuestProgramTests {
  /// Compares what guest and monitor see in 64 MiB of a backing.
  private func check(_ backing: Backing) throws {
    let guest = try WiredGuest(backing, size: .mebibytes(64))
    let runner = try GuestRunner(memory: guest.memory, processors: 2)
    let pages = UInt64(64 << 8)
    let fresh = try runner.run(GuestTask(.scan, over: [guest.range]))
    #expect(fresh.wrongWords == 0 && fresh.firstWrong == nil && fresh.touches == pages)
    #expect(fresh.processors == 2 && fresh.exits == [.halted: 2] && fresh.isComplete)
    let filled = try runner.run(GuestTask(.fillAndCheck, over: [guest.range], seed: 41))
    #expect(filled.exits == [.halted: 2])
    #expect(filled.wrongWords == 0 && filled.touches == 2 * pages && filled.passes == 2)
    // The monitor reads what the guest wrote.
    for page in stride(from: UInt64(0), to: pages, by: 7) {
      let address = Address(page << 12)
      #expect(try guest.word(at: address) == GuestProgram.pattern(at: address, seed: 41))
      #expect(try guest.word(at: address + ByteCount(8)) == 0)
    }
    // A walk finds the same, and with another seed every word differs.
    #expect(try runner.run(GuestTask(.walkCheck, over: [guest.range], seed: 41)).wrongWords == 0)
    let other = try runner.run(GuestTask(.check, over: [guest.range], seed: 43))
    #expect(other.wrongWords == pages && other.firstWrong == .zero)
    // The guest finds the one word that the monitor changes.
    let spoiled = Address(50 << 20)
    try guest.setWord(1, at: spoiled)
    let found = try runner.run(GuestTask(.check, over: [guest.range], seed: 41))
    #expect(found.wrongWords == 1 && found.firstWrong == spoiled)
    withExtendedLifetime(runner) {}
  }

  @Test func `base pages are the guest's memory`() throws { try check(.base) }

  @Test(.enabled(if: HostNeeds.hugePages(.mebibytes(64)), "\(HostNeeds.hugePagesComment)"))
  func `huge pages are the guest's memory`() throws {
    try HugePageLock.withLock { try check(.hugetlb2M) }
  }

  static let hasPrivateHugePages =
    (HostProbe().host().transparentHugePages.privateMemory ?? .never) != .never

  @Test(.enabled(if: hasPrivateHugePages, "needs transparent huge pages of private memory"))
  func `private memory is the guest's memory`() throws { try check(.thpPrivate) }

  @Test func `a byte that the monitor writes is found at its address, and only there`() throws {
    let guest = try WiredGuest(size: .mebibytes(2))
    let runner = try GuestRunner(memory: guest.memory)
    let all = GuestTask(.scanAll, over: [guest.range])
    let fresh = try runner.run(all)
    #expect(fresh.wrongWords == 0 && fresh.touches == 1 << 18 && fresh.firstWrong == nil)
    let planted = [Address(0x1_2345), Address(0x1F_FFFF), Address(0x1F_F000)]
    for address in planted { try guest.memory.write([1], to: address) }
    let found = try runner.run(all)
    #expect(found.wrongWords == 3 && found.firstWrong == Address(0x1_2340))
    // With a stride of a page, only the first word of a page is seen; from its own address, each
    // is.
    let paged = try runner.run(GuestTask(.scan, over: [guest.range]))
    #expect(paged.wrongWords == 1 && paged.firstWrong == Address(0x1F_F000))
    let last = AddressRange(from: Address(0x1F_FFF8), to: Address(0x20_0000))
    #expect(try runner.run(GuestTask(.scan, over: [last])).firstWrong == last.start)
    for address in planted { try guest.memory.write([0], to: address) }
    try guest.memory.write([0x80], to: .zero)
    let first = try runner.run(all)
    #expect(first.wrongWords == 1 && first.firstWrong == .zero)
  }

  @Test(arguments: [1, 2, 3, 255, 256, 257, 1000] as [UInt64], [1, 3])
  func `a walk accesses each page once`(pages: UInt64, processors: Int) throws {
    let guest = try WiredGuest(size: .mebibytes(4))
    let runner = try GuestRunner(memory: guest.memory, processors: processors)
    let range = AddressRange(from: Address(4096), to: Address(4096 + pages << 12))
    for seed in [UInt64(0), 12345] {
      try guest.memory.write([UInt8](repeating: 0, count: 4 << 20), to: .zero)
      let walk = try runner.run(GuestTask(.walkFill, over: [range], seed: seed))
      #expect(walk.touches == pages && walk.isComplete)
      // All of the range, and nothing on either side.
      let check = try runner.run(GuestTask(.check, over: [range], seed: seed))
      #expect(check.wrongWords == 0)
      let scan = try runner.run(GuestTask(.walkScan, over: [range], seed: 7))
      #expect(scan.wrongWords == pages)
      let rest = [
        AddressRange(from: .zero, to: range.start),
        AddressRange(from: range.end, to: guest.range.end),
      ].filter { !$0.isEmpty }
      #expect(try runner.run(GuestTask(.scan, over: rest)).wrongWords == 0)
    }
  }

  @Test func `a pseudorandom walk is not ascending`() throws {
    // The same sequence, computed here.
    let pages: UInt64 = 1024
    var index: UInt64 = 9
    var ascending = 0
    var seen = Set<UInt64>()
    for _ in 0..<pages {
      let next = (index &* 6_364_136_223_846_793_005 &+ 9) % pages
      if next == (index % pages) + 1 { ascending += 1 }
      seen.insert(next)
      index = next
    }
    #expect(seen.count == Int(pages) && ascending < 20)
  }

  @Test func `a guest accesses its memory while the monitor wires and unwires it`() throws {
    let guest = try WiredGuest(size: .mebibytes(16), arena: .mebibytes(32))
    let runner = try GuestRunner(memory: guest.memory, processors: 2)
    let run = try runner.start(GuestTask(.touch, over: [guest.range], seed: 3))
    #expect(throws: HoldfastError.self) { try runner.start(GuestTask(.scan, over: [guest.range])) }
    var rounds = 0
    while run.passes < 4 {
      // Wired twice at times, so that what the guest has stays mapped all along.
      try guest.memory.wire(guest.range)
      try guest.memory.unwire(guest.range)
      rounds += 1
      if rounds > 1_000_000 { break }
    }
    #expect(run.wrongWords == 0)
    run.stop()
    let result = try run.wait(timeLimit: .seconds(60))
    #expect(result.wrongWords == 0 && result.passes >= 4 && result.isComplete && rounds > 1)
    #expect(result.exits == [.halted: 2])
    #expect(result.touches >= (result.passes + 1) * (16 << 8))
    #expect(guest.memory.invariantProblems() == [])
    withExtendedLifetime(guest) {}
  }

  @Test func `the program touch finds a word that the monitor changes`() throws {
    let guest = try WiredGuest(size: .mebibytes(2))
    let runner = try GuestRunner(memory: guest.memory)
    let run = try runner.start(GuestTask(.touch, over: [guest.range], seed: 3))
    try #require(eventually { run.passes >= 2 })
    let spoiled = Address(300 << 12)
    var tries = 0
    // The guest may be just about to write it.
    while run.wrongWords == 0, tries < 1000 {
      try guest.setWord(0xBAD, at: spoiled)
      usleep(3000)
      tries += 1
    }
    run.stop()
    let result = try run.wait(timeLimit: .seconds(60))
    #expect(result.wrongWords > 0 && result.firstWrong == spoiled)
    let word = try guest.word(at: spoiled + ByteCount(4096))
    let address = spoiled + ByteCount(4096)
    #expect(word == GuestProgram.pattern(at: address, seed: 3, pass: result.passes))
  }

  @Test func `an access to inaccessible memory is an error with its address`() throws {
    let arena = try Arena(size: .mebibytes(8), backing: .base)
    let memory = try GuestMemory(arena: arena, limit: .mebibytes(8))
    let ram = try memory.allocateSegment("ram", size: .mebibytes(2))
    let there = try memory.map(ram, at: .zero, options: .wired).range
    let runner = try GuestRunner(memory: memory, processors: 2)
    for program in [GuestProgram.scan, .scanAll, .fill, .walkCheck, .touch] {
      let range = AddressRange(from: Address(1 << 20), to: Address(4 << 20))
      let error = #expect(throws: HoldfastError.self) {
        try runner.start(GuestTask(program, over: [range])).wait(timeLimit: .seconds(60))
      }
      #expect(error?.code == .guestFault && error?.reason.contains("KVM_RUN") == true)
      let hole = AddressRange(from: there.end, to: range.end)
      #expect(error?.address.map { hole.contains($0) } == true, "\(program.name): \(error!)")
      #expect(error?.description.contains("not accessible at 0x") == true)
    }
    // Mapped later, the guest can access it without a change to the slot.
    let more = try memory.allocateSegment("more", size: .mebibytes(2))
    try memory.map(more, at: there.end, options: .wired)
    let range = AddressRange(from: .zero, to: Address(4 << 20))
    #expect(try runner.run(GuestTask(.fillAndCheck, over: [range])).wrongWords == 0)
    // Unmapped under the guest, it is an error and not another guest's memory.
    let run = try runner.start(GuestTask(.touch, over: [range]))
    try #require(eventually { run.passes >= 1 })
    try memory.unmap(AddressRange(from: there.end, to: range.end))
    let gone = #expect(throws: HoldfastError.self) { try run.wait(timeLimit: .seconds(60)) }
    #expect(gone?.code == .guestFault)
  }

  @Test func `a run that exceeds its time limit is stopped`() throws {
    let guest = try WiredGuest(size: .mebibytes(2))
    let runner = try GuestRunner(memory: guest.memory, processors: 2)
    let late = #expect(throws: HoldfastError.self) {
      try runner.start(GuestTask(.spin, over: [guest.range])).wait(timeLimit: .milliseconds(50))
    }
    #expect(late?.code == .guestFault)
    let run = try runner.start(GuestTask(.spin, over: [guest.range]))
    run.cancel()
    let result = try run.wait()
    #expect(!result.isComplete && result.firstWrong == nil && result.wrongWords == 0)
    // A run without a waiting thread ends with its object.
    _ = try runner.start(GuestTask(.spin, over: [guest.range]))
    #expect(throws: HoldfastError.self) { try runner.run(GuestTask(.touch, over: [guest.range])) }
    let after = try runner.run(GuestTask(.scan, over: [guest.range]))
    #expect(after.isComplete && after.exits == [.halted: 2])
  }

  @Test func `bad tasks are refused with a reason`() throws {
    let guest = try WiredGuest(size: .mebibytes(2))
    let runner = try GuestRunner(memory: guest.memory)
    func refused(_ task: GuestTask, _ words: String) {
      let error = #expect(throws: HoldfastError.self) { try runner.run(task) }
      #expect(error?.code == .invalidArgument)
      #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }
    refused(GuestTask(.scan, over: [guest.range], stride: .zero), "stride")
    refused(GuestTask(.scan, over: [guest.range], stride: ByteCount(12)), "stride")
    refused(
      GuestTask(.scan, over: [AddressRange(from: Address(4), to: Address(16))]), "multiple of 8")
    refused(
      GuestTask(.scan, over: [AddressRange(from: .zero, to: Address(1 << 40))]), "exceeds 512 GiB")
    refused(
      GuestTask(.fill, over: [AddressRange(from: Address(3 << 30), to: Address(4 << 30))]),
      "overlaps the programs")
    #expect(try runner.run(GuestTask(.scan, over: [])).touches == 0)
    #expect(throws: HoldfastError.self) { try GuestRunner(memory: guest.memory, processors: 0) }
    #expect(throws: HoldfastError.self) { try GuestRunner(memory: guest.memory, processors: 1025) }
    // A machine has one runner at a time.
    #expect(throws: HoldfastError.self) { try GuestRunner(machine: runner.machine, processors: 1) }
  }

  @Test func `a program runs on a guest in one call`() throws {
    let guest = try WiredGuest(size: .mebibytes(2))
    let result = try GuestProgram.fillAndCheck.run(
      on: guest.memory, over: [guest.range], processors: 2, stride: .kibibytes(64),
      timeLimit: .seconds(60))
    #expect(result.touches == 64 && result.wrongWords == 0)
  }
}
