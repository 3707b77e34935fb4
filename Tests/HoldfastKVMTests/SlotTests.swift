import Glibc
import Holdfast
import HoldfastCore
import HoldfastKVM
import HoldfastLinux
import HoldfastTestKit
import Testing

/// Machines and the slots of their memory.
@Suite(.enabled(if: HostNeeds.kvm, "\(HostNeeds.kvmComment)"))
struct SlotTests {}

extension SlotTests {
  @Test func `bad slots are refused with a reason`() throws {
    let guest = try WiredGuest()
    let machine = try VirtualMachine()
    let host = guest.memory.hostAddress
    let first = try machine.addSlot(
      guestAddress: Address(1 << 20), hostAddress: host, length: .mebibytes(2))
    func refused(
      _ code: HoldfastError.Code, _ words: String, _ guestAddress: UInt64, _ hostAddress: UInt64,
      _ length: UInt64
    ) {
      let error = #expect(throws: HoldfastError.self) {
        try machine.addSlot(
          guestAddress: Address(guestAddress), hostAddress: hostAddress, length: ByteCount(length))
      }
      #expect(error?.code == code)
      #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }
    refused(.invalidArgument, "multiples of 4 KiB", 4095, host, 4096)
    refused(.invalidArgument, "multiples of 4 KiB", 0, host + 1, 4096)
    refused(.invalidArgument, "multiples of 4 KiB", 0, host, 4097)
    refused(.invalidArgument, "multiples of 4 KiB", 0, host, 0)
    refused(.invalidArgument, "multiples of 4 KiB", 0, 0, 4096)
    refused(.invalidArgument, "last address", 0, UInt64.max - 4095, 8192)
    refused(.invalidArgument, "last address", UInt64.max - 4095, host, 8192)
    refused(.invalidArgument, "local APIC", 0xFEE0_0000, host, 4096)
    refused(.invalidArgument, "local APIC", 0xFED0_0000, host, 4 << 20)
    refused(.alreadyExists, "slot 0 of 0x100000..<0x300000", 0x2F_F000, host, 8192)
    refused(.alreadyExists, "slot 0", 0, host, 8 << 20)
    // An error that only the kernel finds has the request's name and the error number.
    let error = #expect(throws: HoldfastError.self) {
      try machine.addSlot(guestAddress: .zero, hostAddress: 1 << 62, length: .kibibytes(4))
    }
    #expect(error?.reason.contains("KVM_SET_USER_MEMORY_REGION") == true && error?.errno == EINVAL)
    #expect(machine.slots == [first])
    try machine.removeSlot(first)
    #expect(machine.slots == [])
    #expect(throws: HoldfastError.self) { try machine.removeSlot(first) }
    try machine.addSlot(guestAddress: Address(1 << 20), hostAddress: host, length: .mebibytes(2))
  }

  @Test func `the hole below 4 GiB has no slot`() throws {
    let layout = try RAMLayout(size: .gibibytes(5))
    #expect(layout.limit == .gibibytes(6))
    #expect(
      layout.pieces.map(\.range) == [
        AddressRange(from: .zero, to: Address(3 << 30)),
        AddressRange(from: Address(4 << 30), to: Address(6 << 30)),
      ])
    #expect(layout.pieces.map(\.offset) == [.zero, .gibibytes(3)])
    #expect(try RAMLayout(size: .gibibytes(3)).pieces.count == 1)
    #expect(try RAMLayout(size: .gibibytes(3)).limit == .gibibytes(3))
    // Addresses alone: nothing is mapped.
    let arena = try Arena(size: .mebibytes(8), backing: .base)
    let memory = try GuestMemory(arena: arena, limit: layout.limit)
    let machine = try VirtualMachine()
    let slots = try machine.addSlots(of: memory)
    #expect(slots.map(\.guestRange) == layout.pieces.map(\.range))
    #expect(
      slots.map(\.hostAddress) == [memory.hostAddress, memory.hostAddress + (4 << 30)])
    // The second of two slots cannot be added, so the first is removed again.
    let other = try VirtualMachine()
    let inTheWay = try other.addSlot(
      guestAddress: Address(5 << 30), hostAddress: memory.hostAddress, length: .kibibytes(4))
    #expect(throws: HoldfastError.self) { try other.addSlots(of: memory) }
    #expect(other.slots == [inTheWay])
  }

  @Test func `the guest can access memory above the hole`() throws {
    let arena = try Arena(size: .mebibytes(16), backing: .base)
    let memory = try GuestMemory(arena: arena, limit: .gibibytes(5))
    let low = try memory.allocateSegment("low", size: .mebibytes(4))
    let high = try memory.allocateSegment("high", size: .mebibytes(4))
    let lowest = try memory.map(low, at: .zero, options: .wired).range
    let highest = try memory.map(high, at: Address(4 << 30), options: .wired).range
    let runner = try GuestRunner(memory: memory, processors: 3)
    let result = try runner.run(GuestTask(.fillAndCheck, over: [lowest, highest], seed: 5))
    #expect(result.touches == 2 * 2048 && result.wrongWords == 0 && result.isComplete)
    // The middle processor has a part of both.
    #expect(result.exits == [.halted: 4])
    let last = highest.end - ByteCount(4096)
    let bytes = try memory.read(last, count: 8)
    let word = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    #expect(word == GuestProgram.pattern(at: last, seed: 5))
    // An endless program needs a processor for each.
    let error = #expect(throws: HoldfastError.self) {
      try runner.start(GuestTask(.touch, over: [lowest, highest]))
    }
    #expect(error?.code == .invalidArgument)
  }

  @Test func `a layout is mapped whole or not at all`() throws {
    let arena = try Arena(size: .mebibytes(8), backing: .base)
    let memory = try GuestMemory(arena: arena, limit: .gibibytes(5))
    // Not wired, it needs no frames.
    let layout = try RAMLayout(size: .gibibytes(4))
    let receipts = try memory.mapRAM(layout)
    #expect(receipts.map(\.range) == layout.pieces.map(\.range))
    let short = try GuestMemory(arena: arena, limit: .gibibytes(4))
    #expect(throws: HoldfastError.self) { try short.mapRAM(layout) }
    #expect(throws: HoldfastError.self) { try short.mapRAM(layout, options: .wired) }
    #expect(try short.mapRAM(RAMLayout(size: .mebibytes(4)), options: .wired).count == 1)
    #expect(memory.invariantProblems(with: [short]) == [])
  }

  @Test func `the guest does not notice that a slot logs writes`() throws {
    let guest = try WiredGuest(size: .mebibytes(4))
    let runner = try GuestRunner(memory: guest.memory, flags: .logDirty)
    #expect(runner.machine.slots.first?.flags == .logDirty)
    #expect(try runner.run(GuestTask(.fillAndCheck, over: [guest.range])).wrongWords == 0)
  }

  @Test func `a missing or wrong device is an error with a reason`() {
    let missing = #expect(throws: HoldfastError.self) {
      try VirtualMachine(path: "/dev/nonexistent")
    }
    #expect(missing?.code == .unsupported && missing?.errno == ENOENT)
    let other = #expect(throws: HoldfastError.self) { try VirtualMachine(path: "/dev/null") }
    #expect(other?.code == .unsupported && other?.reason.contains("KVM_GET_API_VERSION") == true)
    #expect(other?.description.hasPrefix("cannot create a virtual machine: ") == true)
  }

  @Test func `machines close their descriptors and remove their mappings`() throws {
    func open() -> Int {
      (0..<1024).reduce(0) { $0 + (fcntl(Int32($1), F_GETFD) >= 0 ? 1 : 0) }
    }
    let guest = try WiredGuest()
    let before = open()
    for _ in 0..<40 {
      let machine = try VirtualMachine()
      try machine.addSlots(of: guest.memory)
      _ = try machine.makeProcessor()
    }
    // Other suites open and close files meanwhile; forty machines would be 120.
    #expect(open() - before < 60)
  }
}
