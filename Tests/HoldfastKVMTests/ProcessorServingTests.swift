import Glibc
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Synchronization
import Testing

@testable import HoldfastKVM

/// Guests whose processors serve the first accesses to their memory.
@Suite(
  .enabled(
    if: HostNeeds.kvm && HostNeeds.userFault,
    "\(HostNeeds.kvmComment); \(HostNeeds.userFaultComment)"))
struct ProcessorServingTests {}

extension ProcessorServingTests {
  private static let limit = Duration.seconds(120)
  static let paging = DemandPaging(granularity: .basePage, serving: .processors)

  private static func guest(
    _ backing: Backing = .base, size: ByteCount = .mebibytes(8), arena: ByteCount? = nil,
    _ paging: DemandPaging = paging
  ) throws -> DemandGuest {
    try DemandGuest(backing, size: size, arena: arena, paging: paging)
  }

  private static func faults(_ guest: DemandGuest) -> (own: UInt64, handled: UInt64) {
    let statistics = guest.statistics
    return (statistics.processorFaults, statistics.demandFaults + statistics.copyFaults)
  }

  // MARK: What a guest finds

  @Test func `processors serve each first access, and no handler thread does`() throws {
    try HugePageLock.withLock {
      for backing in [Backing.base] + (HostNeeds.hugePages(.mebibytes(16)) ? [.hugetlb2M] : []) {
        let guest = try Self.guest(backing, size: .mebibytes(16))
        let runner = try GuestRunner(memory: guest.memory, processors: 2)
        #expect(guest.memory.faultServing == .processors)
        let fresh = try runner.run(GuestTask(.scan, over: [guest.range]), timeLimit: Self.limit)
        #expect(fresh.wrongWords == 0 && fresh.exits == [.halted: 2])
        let pages = guest.range.length.rawValue / backing.geometry.pageSize.rawValue
        #expect(guest.statistics.zeroedFaults == pages, "\(backing)")
        #expect(Self.faults(guest) == (pages, 0), "\(backing)")
        let filled = try runner.run(
          GuestTask(.fillAndCheck, over: [guest.range], stride: ByteCount(64), seed: 9),
          timeLimit: Self.limit)
        #expect(filled.wrongWords == 0 && filled.exits == [.halted: 2])
        try check(guest, stride: 64, seed: 9)
        #expect(Self.faults(guest) == (pages, 0), "\(backing)")
        #expect(guest.memory.invariantProblems() == [])
        withExtendedLifetime(guest) {}
      }
    }
  }

  /// Compares the guest's bytes with the pattern, all other bytes with zero.
  private func check(_ guest: DemandGuest, stride: UInt64, seed: UInt64) throws {
    let piece: UInt64 = 1 << 20
    let range = guest.range.start.rawValue..<guest.range.end.rawValue
    for start in Swift.stride(from: range.lowerBound, to: range.upperBound, by: Int(piece)) {
      let bytes = try guest.memory.read(Address(start), count: Int(piece))
      let wrong = bytes.withUnsafeBytes { buffer in
        (0..<piece / 8).first { number in
          let address = start + number * 8
          let word = buffer.load(fromByteOffset: Int(number * 8), as: UInt64.self)
          let expected =
            address % stride == 0 ? GuestProgram.pattern(at: Address(address), seed: seed) : 0
          return word != expected
        }
      }
      #expect(wrong == nil, "at \(Address(start + (wrong ?? 0) * 8))")
    }
  }

  @Test func `a first access that writes is done once, and leaves zeros around it`() throws {
    let guest = try Self.guest()
    let runner = try GuestRunner(memory: guest.memory)
    let task = GuestTask(.walkFill, over: [guest.range], seed: 21)
    #expect(try runner.run(task, timeLimit: Self.limit).exits == [.halted: 1])
    try check(guest, stride: 4096, seed: 21)
    #expect(Self.faults(guest) == (8 << 8, 0))
  }

  @Test func `two machines access the same pages for the first time at once`() throws {
    for round in UInt64(1)...4 {
      let guest = try Self.guest()
      let runners = try (0..<2).map { _ in try GuestRunner(memory: guest.memory, processors: 2) }
      let task = GuestTask(.fillAndCheck, over: [guest.range], stride: ByteCount(512), seed: round)
      let runs = try runners.map { try $0.start(task) }
      for run in runs {
        let result = try run.wait(timeLimit: Self.limit)
        #expect(result.wrongWords == 0 && result.isComplete)
      }
      try check(guest, stride: 512, seed: round)
      #expect(Self.faults(guest).handled == 0)
      #expect(guest.statistics.zeroedFaults == 8 << 8)
      #expect(guest.memory.invariantProblems() == [])
      withExtendedLifetime(guest) {}
    }
  }

  // MARK: Instructions

  /// Accesses of each kind to absent pages. RDI is the start of absent memory.
  static let mixture: [UInt8] =
    [
      0x48, 0x89, 0x87, 0xFC, 0x0F, 0x00, 0x00,  // mov [rdi + 0xffc], rax: two pages
      0x48, 0x8B, 0x9F, 0xFA, 0x2F, 0x00, 0x00,  // mov rbx, [rdi + 0x2ffa]: two pages
      0x89, 0x87, 0x01, 0x40, 0x00, 0x00,  // mov [rdi + 0x4001], eax
      0x66, 0x89, 0x87, 0x03, 0x50, 0x00, 0x00,  // mov [rdi + 0x5003], ax
      0x88, 0x87, 0x07, 0x60, 0x00, 0x00,  // mov [rdi + 0x6007], al
      0xF0, 0x48, 0x0F, 0xC1, 0x97, 0x00, 0x70, 0x00, 0x00,  // lock xadd [rdi + 0x7000], rdx
      0xF0, 0x48, 0x0F, 0xC1, 0xB7, 0x00, 0x70, 0x00, 0x00,  // lock xadd [rdi + 0x7000], rsi
      0x4C, 0x87, 0x87, 0x08, 0x80, 0x00, 0x00,  // xchg [rdi + 0x8008], r8
      0xF0, 0x4C, 0x0F, 0xB1, 0x8F, 0x00, 0x90, 0x00, 0x00,  // lock cmpxchg [rdi + 0x9000], r9
      0xF0, 0x4C, 0x0F, 0xB1, 0x8F, 0x00, 0x90, 0x00, 0x00,  // the same, which now matches
      0x48, 0x83, 0x87, 0x00, 0xA0, 0x00, 0x00, 0x05,  // add qword [rdi + 0xa000], 5
      0xFF, 0x87, 0xFE, 0xBF, 0x00, 0x00,  // inc dword [rdi + 0xbffe]: two pages
      0x48, 0x8D, 0xA7, 0x00, 0xE0, 0x00, 0x00,  // lea rsp, [rdi + 0xe000]
      0x41, 0x52,  // push r10
      0x41, 0x5B,  // pop r11
      0x48, 0x8D, 0xA7, 0x04, 0xF0, 0x00, 0x00,  // lea rsp, [rdi + 0xf004]
      0xE8, 0x00, 0x00, 0x00, 0x00,  // call the next instruction: two pages
      0x41, 0x5C,  // pop r12
    ] + [
      0x0F, 0x10, 0x87, 0xF8, 0x9F, 0x01, 0x00,  // movups xmm0, [rdi + 0x19ff8]
      0x0F, 0x10, 0x87, 0xFA, 0x0F, 0x00, 0x00,  // movups xmm0, [rdi + 0xffa]
      0x0F, 0x11, 0x87, 0xF3, 0xBF, 0x01, 0x00,  // movups [rdi + 0x1bff3], xmm0: two pages
      0x49, 0x89, 0xFF,  // mov r15, rdi
      0x49, 0x8D, 0xBF, 0x00, 0x00, 0x01, 0x00,  // lea rdi, [r15 + 0x10000]
      0xB9, 0x00, 0x04, 0x00, 0x00,  // mov ecx, 1024
      0x4C, 0x89, 0xC8,  // mov rax, r9
      0xFC,  // cld
      0xF3, 0x48, 0xAB,  // rep stosq
      0x49, 0x8D, 0xB7, 0xF0, 0x0F, 0x01, 0x00,  // lea rsi, [r15 + 0x10ff0]
      0x49, 0x8D, 0xBF, 0xF8, 0x3F, 0x01, 0x00,  // lea rdi, [r15 + 0x13ff8]
      0xB9, 0x20, 0x00, 0x00, 0x00,  // mov ecx, 32
      0xF3, 0xA4,  // rep movsb: from present to absent
      0x49, 0x8D, 0xB7, 0xF8, 0x6F, 0x01, 0x00,  // lea rsi, [r15 + 0x16ff8]
      0x49, 0x8D, 0xBF, 0xFC, 0x8F, 0x01, 0x00,  // lea rdi, [r15 + 0x18ffc]
      0xB9, 0x04, 0x00, 0x00, 0x00,  // mov ecx, 4
      0xF3, 0x48, 0xA5,  // rep movsq: from absent to absent
      0x49, 0x8B, 0x07,  // mov rax, [r15]
      0xF4,  // hlt
    ]

  /// Runs code on a guest whose pages are all absent but that of the code.
  private func run(
    _ code: [UInt8], on guest: DemandGuest, data: UInt64
  ) throws -> (VMExit, Registers, GuestRunner) {
    let runner = try GuestRunner(memory: guest.memory)
    let processor = runner.processors[0]
    try guest.memory.write(code, to: Address(0x1000))
    var special = try processor.specialRegisters()
    special.cr4 |= 0x200  // OSFXSR
    try processor.setSpecialRegisters(special)
    var registers = Registers()
    registers.rip = 0x1000
    registers.rdi = data
    registers.rax = 0x1122_3344_5566_7788
    registers.rdx = 0x0102_0304_0506_0708
    registers.rsi = 7
    registers.r8 = 0x8888_8888_8888_8888
    registers.r9 = 0xFEDC_BA98_7654_3210
    registers.r10 = 0xAAAA_BBBB_CCCC_DDDD
    try processor.setRegisters(registers)
    let exit = try processor.run()
    return (exit, try processor.registers(), runner)
  }

  @Test func `all kinds of accesses do what they do with a handler thread`() throws {
    let own = try Self.guest()
    let handled = try Self.guest(.base, DemandPaging(granularity: .basePage))
    let data: UInt64 = 0x10_0000
    let (exit, registers, _) = try run(Self.mixture, on: own, data: data)
    let (otherExit, otherRegisters, _) = try run(Self.mixture, on: handled, data: data)
    #expect(exit == .halted && otherExit == .halted)
    #expect(registers == otherRegisters)
    let size = Int(own.range.length.rawValue)
    let bytes = try own.memory.read(.zero, count: size)
    let otherBytes = try handled.memory.read(.zero, count: size)
    #expect(bytes == otherBytes)
    // What the processor's manual says, too.
    #expect(try own.word(at: Address(data + 0xFFC)) == 0x1122_3344_5566_7788)
    #expect(try own.word(at: Address(data + 0x7000)) == 0x0102_0304_0506_070F)
    #expect(try own.word(at: Address(data + 0x9000)) == registers.r9)
    #expect(try own.word(at: Address(data + 0xA000)) == 5)
    #expect(registers.rbx == 0 && registers.rdx == 0 && registers.r8 == 0)
    #expect(registers.rsi != 7 && registers.r11 == registers.r10)
    #expect(Self.faults(own).own >= 20 && Self.faults(own).handled == 0)
    #expect(Self.faults(handled).own == 0 && Self.faults(handled).handled >= 20)
    #expect(own.memory.invariantProblems(with: []) == [])
  }

  @Test func `what the monitor writes is there at the guest's first access`() throws {
    let guest = try Self.guest()
    let code: [UInt8] = [
      0x48, 0x8B, 0x1F,  // mov rbx, [rdi]
      0x48, 0x8B, 0x8F, 0x00, 0x00, 0x40, 0x00,  // mov rcx, [rdi + 4 MiB]
      0xF4,  // hlt
    ]
    let words: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
    try guest.memory.write(words, to: Address(0x10_0000))
    let (exit, registers, _) = try run(code, on: guest, data: 0x10_0000)
    #expect(exit == .halted && registers.rbx == 0x0807_0605_0403_0201 && registers.rcx == 0)
    // The code, which is fetched, and the word were entered when they were written.
    #expect(Self.faults(guest) == (1, 0))
  }

  // MARK: Failures

  @Test func `an access to a hole ends the run with its error, and continues when mapped`() throws {
    let guest = try Self.guest()
    let hole = AddressRange(from: Address(4 << 20), to: Address(6 << 20))
    try guest.memory.unmap(hole)
    let code: [UInt8] = [
      0x48, 0x89, 0x07,  // mov [rdi], rax
      0x48, 0x8B, 0x9F, 0x00, 0x10, 0x00, 0x00,  // mov rbx, [rdi + 0x1000]
      0xF4,  // hlt
    ]
    let (exit, _, runner) = try run(code, on: guest, data: hole.start.rawValue)
    guard case .memoryFault(let fault) = exit else {
      Issue.record("\(exit)")
      return
    }
    #expect(fault.address == hole.start && fault.error?.code == .invalidAddress)
    let processor = runner.processors[0]
    guard case .memoryFault = try processor.run() else {
      Issue.record("the access was lost")
      return
    }
    let more = try guest.memory.allocateSegment("more", size: .mebibytes(2))
    try guest.memory.map(more, at: hole.start)
    #expect(try processor.run() == .halted)
    #expect(try guest.word(at: hole.start) == 0x1122_3344_5566_7788)
    #expect(try processor.registers().rbx == 0)
    withExtendedLifetime(runner) {}
  }

  @Test func `a guest without frames ends with an error, and goes on when there are some`() throws {
    let arena = try Arena(size: .mebibytes(2), for: .paging, backing: .base, threads: 1)
    var other: GuestMemory? = try GuestMemory(arena: arena, limit: .mebibytes(1))
    do {
      let segment = try #require(try other?.allocateSegment("other", size: .mebibytes(1)))
      try other?.map(segment, at: .zero, options: .wired)
    }
    let guest = try DemandGuest(on: arena, size: .mebibytes(8), paging: Self.paging)
    let runner = try GuestRunner(memory: guest.memory)
    let error = #expect(throws: HoldfastError.self) {
      try runner.run(GuestTask(.fill, over: [guest.range], seed: 3), timeLimit: Self.limit)
    }
    #expect(error?.code == .guestFault && error?.reason.contains("frame") == true, "\(error!)")
    #expect(Self.faults(guest).own == 257)
    other = nil
    let rest = AddressRange(from: Address(4 << 20), to: Address(4 << 20 + 64 << 12))
    let result = try runner.run(GuestTask(.fillAndCheck, over: [rest]), timeLimit: Self.limit)
    #expect(result.wrongWords == 0)
    #expect(guest.memory.invariantProblems() == [])
    withExtendedLifetime(guest) {}
  }

  @Test func `the kernel's access to an absent page fails, and no signal is raised`() throws {
    let guest = try Self.guest()
    let runner = try GuestRunner(memory: guest.memory)
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    defer { for end in ends { close(end) } }
    let place = UnsafeRawPointer(bitPattern: UInt(guest.memory.slotAddress))!
    #expect(write(ends[1], place, 8) == -1 && errno == EFAULT)
    let range = AddressRange(from: .zero, to: Address(1 << 20))
    _ = try runner.run(GuestTask(.fill, over: [range]), timeLimit: Self.limit)
    #expect(write(ends[1], place, 8) == 8)
    #expect(Self.faults(guest).handled == 0)
  }

  @Test func `a processor is interrupted while it serves faults`() throws {
    let guest = try Self.guest(size: .mebibytes(64))
    let runner = try GuestRunner(memory: guest.memory)
    let run = try runner.start(GuestTask(.fill, over: [guest.range], seed: 8))
    #expect(eventually { Self.faults(guest).own > 100 })
    run.cancel()
    let result = try run.wait(timeLimit: Self.limit)
    #expect(!result.isComplete)
    // Whatever was begun is whole.
    let done = Self.faults(guest).own
    for page in 0..<done - 1 {
      let address = Address(page << 12)
      #expect(try guest.word(at: address) == GuestProgram.pattern(at: address, seed: 8))
    }
  }
}
