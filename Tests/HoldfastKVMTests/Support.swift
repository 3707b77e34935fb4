import Holdfast
import HoldfastCore
import HoldfastKVM
import HoldfastLinux
import HoldfastTestKit

/// A guest with `size` of wired memory from address 0 on.
struct WiredGuest {
  let memory: GuestMemory
  let ram: MemorySegment
  let receipt: WireReceipt

  var range: AddressRange { receipt.range }

  init(
    _ backing: Backing = .base, size: ByteCount = .mebibytes(8), arena: ByteCount? = nil
  ) throws {
    let arena = try Arena(size: arena ?? size, backing: backing, threads: 2)
    memory = try GuestMemory(arena: arena, limit: size)
    ram = try memory.allocateSegment("ram", size: size)
    receipt = try memory.map(ram, at: .zero, options: .wired)
  }

  func word(at address: Address) throws -> UInt64 {
    try memory.read(address, count: 8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  func setWord(_ value: UInt64, at address: Address) throws {
    try memory.write((0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }, to: address)
  }
}

/// Two processors in long mode over a small guest, to run the test's code at `code`.
struct BareProcessor {
  static let code = Address(0x1000)
  let guest: WiredGuest
  let runner: GuestRunner
  var processor: VirtualCPU { runner.processors[0] }

  init(_ bytes: [UInt8], flags: MemorySlot.Flags = []) throws {
    guest = try WiredGuest()
    runner = try GuestRunner(memory: guest.memory, flags: flags)
    try guest.memory.write(bytes, to: Self.code)
    var registers = Registers()
    registers.rip = Self.code.rawValue
    try processor.setRegisters(registers)
  }
}
