import ExampleSupport
import Holdfast

// Gives a guest 64 MiB, all of it wired, and compares the receipt with the kernel.
runExample {
  let arena = try Arena(size: .mebibytes(64), for: .wiring)
  for fallback in arena.preparation.fallbacks { print("note: \(fallback)") }

  let memory = try GuestMemory(arena: arena, limit: .mebibytes(64), for: .wiring)
  let ram = try memory.allocateSegment("ram", size: .mebibytes(64))
  let receipt = try memory.map(ram, at: .zero, options: .wired)
  print(receipt)

  let verification = try receipt.verify()
  print(verification)
  try check(verification.isVerified, "the kernel's view matches the receipt")

  // New memory is zero. The monitor copies bytes in and out; a KVM slot at `hostAddress` gives the
  // same memory to the guest.
  let start = Address(0x7C00)
  try check(try memory.read(start, count: 2) == [0, 0], "new memory is zero")
  try memory.write([0x90, 0xF4], to: start)
  try check(try memory.read(start, count: 2) == [0x90, 0xF4], "the bytes are in the guest")
  print("guest address \(start) is at \(Address(memory.hostAddress) + (start - .zero)) here")
}
