import Dispatch
import Glibc
import Holdfast
import HoldfastCore
import HoldfastKVM
import HoldfastLinux
import HoldfastTestKit
import Synchronization
import Testing

/// A processor by itself: registers, exits, and how it is interrupted.
@Suite(.enabled(if: HostNeeds.kvm, "\(HostNeeds.kvmComment)"))
struct VirtualCPUTests {}

extension VirtualCPUTests {
  @Test func `a guest computes, and its registers have the result`() throws {
    let bare = try BareProcessor([
      0x48, 0x8D, 0x04, 0x37,  // lea rax, [rdi + rsi]
      0x49, 0x89, 0xC7,  // mov r15, rax
      0xF4,  // hlt
    ])
    var registers = try bare.processor.registers()
    registers.rdi = 0x1234_5678_9ABC_DEF0
    registers.rsi = 0x0FED_CBA9_8765_4321
    registers.r8 = 88
    try bare.processor.setRegisters(registers)
    #expect(try bare.processor.registers() == registers)
    #expect(try bare.processor.run() == .halted)
    let after = try bare.processor.registers()
    #expect(after.rax == registers.rdi &+ registers.rsi && after.r15 == after.rax)
    #expect(after.rip == BareProcessor.code.rawValue + 8 && after.r8 == 88)
    let special = try bare.processor.specialRegisters()
    #expect(special.code.is64BitCode && special.efer & 0x400 != 0)
  }

  @Test func `ports are read and written`() throws {
    let bare = try BareProcessor([
      0x66, 0xBA, 0xF8, 0x03,  // mov dx, 0x3f8
      0xB8, 0x44, 0x33, 0x22, 0x11,  // mov eax, 0x11223344
      0xEF,  // out dx, eax
      0xEC,  // in al, dx
      0xF4,  // hlt
    ])
    #expect(
      try bare.processor.run()
        == .io(port: 0x3F8, width: 4, isWrite: true, data: [0x44, 0x33, 0x22, 0x11]))
    #expect(
      try bare.processor.run() == .io(port: 0x3F8, width: 1, isWrite: false, data: [0]))
    try bare.processor.answer([0x5A, 0xFF])
    #expect(try bare.processor.run() == .halted)
    #expect(try bare.processor.registers().rax == 0x1122_335A)
  }

  @Test func `an access to addresses without a slot exits for a device`() throws {
    let bare = try BareProcessor([
      0x48, 0x89, 0x07,  // mov [rdi], rax
      0x48, 0x8B, 0x1F,  // mov rbx, [rdi]
      0xF4,  // hlt
    ])
    var registers = try bare.processor.registers()
    registers.rdi = 0xC000_0000
    registers.rax = 0x0102_0304_0506_0708
    try bare.processor.setRegisters(registers)
    #expect(
      try bare.processor.run()
        == .memoryMapped(
          Address(0xC000_0000), isWrite: true, data: [8, 7, 6, 5, 4, 3, 2, 1]))
    #expect(
      try bare.processor.run()
        == .memoryMapped(
          Address(0xC000_0000), isWrite: false, data: [UInt8](repeating: 0, count: 8)))
    try bare.processor.answer([1, 0, 0, 0, 0, 0, 0, 0x80])
    #expect(try bare.processor.run() == .halted)
    #expect(try bare.processor.registers().rbx == 0x8000_0000_0000_0001)
  }

  @Test func `registers keep what was set although an access was not answered`() throws {
    let bare = try BareProcessor([
      0x48, 0x8B, 0x1F,  // mov rbx, [rdi]
      0xF4,  // hlt
    ])
    var registers = try bare.processor.registers()
    registers.rdi = 0xC000_0000
    try bare.processor.setRegisters(registers)
    guard case .memoryMapped = try bare.processor.run() else {
      Issue.record("no device was touched")
      return
    }
    // It continues at the HLT, with another RBX.
    registers.rip = BareProcessor.code.rawValue + 3
    registers.rbx = 77
    try bare.processor.setRegisters(registers)
    #expect(try bare.processor.run() == .halted)
    #expect(try bare.processor.registers().rbx == 77)
  }

  @Test func `a read-only slot cannot be written`() throws {
    let guest = try WiredGuest()
    let machine = try VirtualMachine()
    try machine.addSlots(of: guest.memory, flags: .readOnly)
    let runner = try GuestRunner(machine: machine, processors: 1)
    #expect(try runner.run(GuestTask(.scan, over: [guest.range])).wrongWords == 0)
    let error = #expect(throws: HoldfastError.self) {
      try runner.run(
        GuestTask(.fill, over: [AddressRange(from: Address(8192), to: Address(16384))]))
    }
    #expect(error?.code == .guestFault && error?.address == Address(8192))
    #expect(try guest.word(at: Address(8192)) == 0)
    // The processor can be used again.
    #expect(try runner.run(GuestTask(.scan, over: [guest.range])).wrongWords == 0)
  }

  @Test func `invalid code is an exit and no crash`() throws {
    // No interrupt table: an undefined instruction ends in a triple fault.
    let bare = try BareProcessor([0x0F, 0x0B])  // ud2
    let exit = try bare.processor.run()
    #expect(exit == .shutdown || exit.kind == .internalError)
    var special = try bare.processor.specialRegisters()
    special.cr0 = 0x8000_0000  // paging without protection
    let error = #expect(throws: HoldfastError.self) {
      try bare.processor.setSpecialRegisters(special)
    }
    #expect(error?.code == .invalidArgument && error?.reason.contains("KVM_SET_SREGS") == true)
  }

  // MARK: Interrupting

  @Test func `a spinning processor is interrupted, before and during its run`() throws {
    let bare = try BareProcessor([0xEB, 0xFE])  // jmp to itself
    let processor = bare.processor
    processor.interrupt()
    processor.interrupt()
    #expect(try processor.run() == .interrupted)
    let stop = DispatchSemaphore(value: 0)
    let findings = ConcurrentFailures()
    let isBack = Atomic<Int>(0)
    let rounds = 300
    let isDone = runThreads(2) { number in
      if number == 0 {
        for _ in 0..<rounds {
          if (try? processor.run()) != .interrupted { findings.report("not interrupted") }
          isBack.wrappingAdd(1, ordering: .relaxed)
          stop.signal()
        }
      } else {
        for round in 0..<rounds {
          // At different moments: before KVM enters the guest, while it does so, and inside.
          if round % 3 > 0 { usleep(UInt32(round % 7) * 50) }
          processor.interrupt()
          if stop.wait(timeout: .now() + 20) == .timedOut { findings.report("did not stop") }
        }
      }
    }
    #expect(isDone && findings.all == [] && isBack.load(ordering: .relaxed) == rounds)
  }

  @Test func `other signals do not end a run, and a blocked thread is reached`() throws {
    let bare = try BareProcessor([0xEB, 0xFE])
    let processor = bare.processor
    signal(SIGURG) { _ in }
    defer { signal(SIGURG, SIG_DFL) }
    let thread = Atomic<UInt>(0)
    let isRunning = Atomic<Bool>(true)
    let findings = ConcurrentFailures()
    let isDone = runThreads(2) { number in
      if number == 0 {
        var every = sigset_t()
        sigfillset(&every)
        sigdelset(&every, SIGURG)
        pthread_sigmask(SIG_SETMASK, &every, nil)
        thread.store(UInt(pthread_self()), ordering: .releasing)
        if (try? processor.run()) != .interrupted { findings.report("not interrupted") }
        isRunning.store(false, ordering: .releasing)
        var now = sigset_t()
        pthread_sigmask(SIG_SETMASK, nil, &now)
        for number in Int32(34)...64 where sigismember(&now, number) != 1 {
          findings.report("signal \(number) was left unblocked")
        }
      } else {
        if !eventually({ thread.load(ordering: .acquiring) != 0 }) { findings.report("no thread") }
        for _ in 0..<50 {
          pthread_kill(pthread_t(thread.load(ordering: .acquiring)), SIGURG)
          usleep(500)
          if !isRunning.load(ordering: .acquiring) { findings.report("ended by a signal") }
        }
        processor.interrupt()
      }
    }
    #expect(isDone && findings.all == [])
  }

  @Test func `a running processor is busy for other threads`() throws {
    let bare = try BareProcessor([0xEB, 0xFE])
    let processor = bare.processor
    let started = Barrier(2)
    let findings = ConcurrentFailures()
    let isDone = runThreads(2) { number in
      started.arrive()
      if number == 0 {
        // The other thread may be reading the registers at that moment.
        var exit: VMExit?
        while exit == nil {
          do {
            exit = try processor.run()
          } catch let error as HoldfastError where error.code == .busy {
            continue
          } catch {
            return findings.report("\(error)")
          }
        }
        if exit != .interrupted { findings.report("not interrupted") }
      } else {
        if !eventually({ (try? processor.registers()) == nil }) { findings.report("not busy") }
        for _ in 0..<3 {
          do {
            _ = try processor.registers()
            findings.report("registers were read")
          } catch let error as HoldfastError {
            if error.code != .busy { findings.report("\(error)") }
          } catch {}
        }
        processor.interrupt()
      }
    }
    #expect(isDone && findings.all == [])
    #expect(try processor.registers().rip == BareProcessor.code.rawValue)
  }

  @Test func `processors keep their machine alive, and the machine its memory`() throws {
    weak var memory: GuestMemory?
    weak var machine: VirtualMachine?
    var processor: VirtualCPU?
    do {
      let bare = try BareProcessor([
        0x48, 0xFF, 0xC0,  // inc rax
        0xF4,  // hlt
      ])
      memory = bare.guest.memory
      machine = bare.runner.machine
      let made = try bare.runner.machine.makeProcessor()
      try made.setRegisters(try bare.processor.registers())
      // Real mode, at the same address.
      var special = try made.specialRegisters()
      special.code.base = 0
      special.code.selector = 0
      special.code.limit = 0xFFFF
      try made.setSpecialRegisters(special)
      processor = made
    }
    #expect(memory != nil && machine != nil)
    #expect(try processor?.run() == .halted)
    processor = nil
    #expect(memory == nil && machine == nil)
  }
}
