import CHoldfastLinux
import Glibc
import Holdfast
import HoldfastCore
import HoldfastKVM
import HoldfastLinux
import HoldfastTestKit
import Synchronization
import Testing

/// Slots whose memory a test serves by userfaultfd.
@Suite(.enabled(if: HostNeeds.kvm, "\(HostNeeds.kvmComment)"))
struct TrappedMemoryTests {}

extension TrappedMemoryTests {
  static let hasUserFault = HostProbe().host().userFault.way != nil

  /// Two mebibytes of resident shared memory, behind a mapping in which a page can be accessed only
  /// after UFFDIO_CONTINUE.
  final class Trapped: @unchecked Sendable {
    let size = 2 << 20
    let file: Int32
    let fault: Int32
    let plain: UnsafeMutableRawPointer
    let trapped: UnsafeMutableRawPointer

    init?() {
      file = hf_memfd_create("holdfast-trapped", 0)
      // UFFD_FEATURE_MINOR_SHMEM.
      fault = hf_userfault_open(1 << 10)
      guard file >= 0, fault >= 0, ftruncate(file, off_t(size)) == 0,
        let one = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), one != MAP_FAILED,
        let two = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), two != MAP_FAILED
      else { return nil }
      plain = one
      trapped = two
      memset(plain, 0, size)
      guard hf_userfault_register(fault, trapped, size, Int32(HF_TRAP_MINOR)) == 0
      else { return nil }
    }

    /// Waits for a fault; returns its offset.
    func next() -> Int? {
      var event = pollfd(fd: fault, events: Int16(POLLIN), revents: 0)
      guard poll(&event, 1, 20_000) == 1 else { return nil }
      // struct uffd_msg: the address is the third word.
      var message = [UInt64](repeating: 0, count: 4)
      guard read(fault, &message, 32) == 32 else { return nil }
      return Int(message[2]) - Int(bitPattern: trapped)
    }

    func serve(_ offset: Int) {
      _ = hf_userfault_continue(fault, trapped + offset & ~4095, 4096, 4096, 0)
    }

    deinit {
      close(fault)
      munmap(plain, size)
      munmap(trapped, size)
      close(file)
    }
  }

  @Test(.enabled(if: hasUserFault, "needs userfaultfd that sees the kernel's faults"))
  func `a guest waits until its page fault is served, and continues`() throws {
    let memory = try #require(Trapped())
    let machine = try VirtualMachine()
    try machine.addSlot(
      guestAddress: .zero, hostAddress: UInt64(UInt(bitPattern: memory.trapped)),
      length: .mebibytes(2), owner: memory)
    let runner = try GuestRunner(machine: machine, processors: 1)
    let range = AddressRange(from: .zero, to: Address(64 << 12))
    let run = try runner.start(GuestTask(.fillAndCheck, over: [range], seed: 9))
    var served: [Int] = []
    while served.count < 64, let offset = memory.next() {
      served.append(offset >> 12)
      memory.serve(offset)
    }
    #expect(served == Array(0..<64))
    let result = try run.wait(timeLimit: .seconds(60))
    #expect(result.wrongWords == 0 && result.touches == 128)
    for page in 0..<64 {
      let word = memory.plain.load(fromByteOffset: page << 12, as: UInt64.self)
      #expect(word == GuestProgram.pattern(at: Address(UInt64(page) << 12), seed: 9))
    }
  }

  @Test(.enabled(if: hasUserFault, "needs userfaultfd that sees the kernel's faults"))
  func `a request to interrupt is not lost while a guest waits for its memory`() throws {
    let memory = try #require(Trapped())
    let machine = try VirtualMachine()
    try machine.addSlot(
      guestAddress: .zero, hostAddress: UInt64(UInt(bitPattern: memory.trapped)),
      length: .mebibytes(2), owner: memory)
    let runner = try GuestRunner(machine: machine, processors: 1)
    let range = AddressRange(from: .zero, to: Address(2 << 20))
    let run = try runner.start(GuestTask(.fill, over: [range]))
    let offset = try #require(memory.next())
    run.cancel()
    // Where KVM emulates, the kernel accesses the memory and continues to wait; otherwise the guest
    // has stopped.
    usleep(100_000)
    memory.serve(offset)
    // A guest that was not interrupted would wait here, since only this page is served.
    let result = try run.wait(timeLimit: .seconds(30))
    #expect(!result.isComplete && result.exits[.interrupted] == 1)
  }
}
