import ExampleSupport
import Holdfast
import HoldfastKVM

// A whole monitor: 16 MiB of wired memory, one processor in 32-bit protected mode, and a serial
// port on which the guest prints a message before it halts.
let code: [UInt8] = [
  0x66, 0xBA, 0xF8, 0x03,  // mov dx, 0x3f8    the serial port
  0xBE, 0x00, 0x20, 0x00, 0x00,  // mov esi, 0x2000
  0xAC,  // lodsb            the next byte of the message
  0x84, 0xC0,  // test al, al
  0x74, 0x03,  // jz halt
  0xEE,  // out dx, al
  0xEB, 0xF8,  // jmp lodsb
  0xF4,  // halt: hlt
]
let message = "hello from the guest\n"

runExample(unlessHost: kvmProblem) {
  let arena = try Arena(size: .mebibytes(16), for: .wiring)
  let memory = try GuestMemory(arena: arena, limit: .mebibytes(16))
  let ram = try memory.allocateSegment("ram", size: .mebibytes(16))
  print(try memory.map(ram, at: .zero, options: .wired))
  try memory.write(code, to: Address(0x1000))
  try memory.write(Array(message.utf8) + [0], to: Address(0x2000))

  let machine = try VirtualMachine()
  try machine.addSlots(of: memory)
  let processor = try machine.makeProcessor()
  try processor.setSpecialRegisters(protectedMode())
  var registers = Registers()
  registers.rip = 0x1000
  try processor.setRegisters(registers)

  var output: [UInt8] = []
  loop: while true {
    switch try processor.run() {
    case .io(port: 0x3F8, width: 1, isWrite: true, let data): output += data
    case .halted: break loop
    case let exit: throw CheckFailure(description: "unexpected exit: \(exit)")
    }
  }
  print(String(decoding: output, as: UTF8.self), terminator: "")
  try check(output == Array(message.utf8), "the guest printed its message")
}

/// Protected mode without paging: flat segments of 4 GiB for code and data.
func protectedMode() -> SpecialRegisters {
  var registers = SpecialRegisters()
  registers.cr0 = 0x11  // ET, PE
  registers.code.selector = 8
  registers.code.type = 11
  registers.data.selector = 16
  return registers
}
