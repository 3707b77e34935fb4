// Made by Scripts/snippets; do not edit.
import Holdfast
import HoldfastKVM
import HoldfastReservoir

// README.md, line 54
func readme1() throws {

  let arena = try Arena(size: .gibibytes(10), for: .wiring)        // once, for all guests
  let memory = try GuestMemory(arena: arena, limit: .gibibytes(10))
  let ram = try memory.allocateSegment("ram", size: .gibibytes(10))
  let receipt = try memory.map(ram, at: .zero, options: .wired)    // about a millisecond
  print(receipt.pages, try receipt.verify().isVerified)            // [2 MiB: 5120] true
  try memory.write([0x90, 0xF4], to: Address(0x7C00))              // the monitor's own access
  print(memory.hostAddress)                                        // userspace_addr of a KVM slot
}

// README.md, line 69
func readme2() throws {

  let arena = try Arena(size: .gibibytes(8), for: .forking)
  let template = try GuestMemory(arena: arena, limit: .gibibytes(4), demandPaging: DemandPaging())
  try template.map(try template.allocateSegment("ram", size: .gibibytes(4)), at: .zero)
  // ... the template boots, and stops ...
  let (child, receipt) = try template.fork()                       // about a millisecond
  print(receipt.sharedBytes, child.hostAddress)
}

// docs/library.md, line 9
func library1() throws {

  let arena = try Arena(size: .gibibytes(10), for: .wiring)        // once, for all guests
  let memory = try GuestMemory(arena: arena, limit: .gibibytes(10))
  let ram = try memory.allocateSegment("ram", size: .gibibytes(10))
  let receipt = try memory.map(ram, at: .zero, options: .wired)    // about a millisecond
  print(receipt.pages, try receipt.verify().isVerified)            // [2 MiB: 5120] true
  try memory.write([0x90, 0xF4], to: Address(0x7C00))              // the monitor's own access
  print(memory.hostAddress)                                        // userspace_addr of a KVM slot
}

// docs/library.md, line 34
func library2() throws {

  let arena = try Arena(size: .gibibytes(8), for: .forking)
  let template = try GuestMemory(arena: arena, limit: .gibibytes(4), demandPaging: DemandPaging())
  try template.map(try template.allocateSegment("ram", size: .gibibytes(4)), at: .zero)
  // ... the template boots, and stops ...
  let (child, receipt) = try template.fork()                       // about a millisecond
  print(receipt.sharedBytes, child.hostAddress)
}

// docs/library.md, line 56
func library3() throws {

  let arena = try Arena(size: .gibibytes(8), for: .paging)
  let guest = try GuestMemory(arena: arena, limit: .gibibytes(4), demandPaging: DemandPaging())
  try guest.map(try guest.allocateSegment("ram", size: .gibibytes(4)), at: .zero)
  // ... the guest runs, and stops ...
  try guest.save(AddressRange(.zero, Address(4 << 30)), to: "vm.image")

  let clone = try GuestMemory(arena: arena, limit: .gibibytes(4), demandPaging: DemandPaging())
  try clone.map(try clone.restoreSegment("ram", from: "vm.image"), at: .zero)
}

// docs/library.md, line 77
func library4() throws {

  let arena = try Arena(size: .gibibytes(1), for: .wiring)
  let memory = try GuestMemory(arena: arena, limit: .gibibytes(1))
  let ram = try memory.allocateSegment("ram", size: .gibibytes(1))
  let receipt = try memory.map(ram, at: .zero, options: .wired)
  let runner = try GuestRunner(memory: memory, processors: 2)      // needs /dev/kvm
  let result = try runner.run(GuestTask(.fillAndCheck, over: [receipt.range]))
  print(result.touches, result.wrongWords, result.duration)
}

// docs/library.md, line 98
func library5() throws {

  let lease = try Reservoir(mount: "/dev/hugepages").lease(LeaseRequest(size: .gibibytes(10)))
  let arena = try Arena(adopting: lease)
  let memory = try GuestMemory(arena: arena, limit: arena.size)
  print(lease.receipt.path, memory.hostAddress)
}

// docs/library.md, line 113
func library6() throws {

  let arena = try Arena(size: .gibibytes(10), for: .wiring)
  let scrubber = try Scrubber(memory: arena.memory)
  // ... guests come and go ...
  print(scrubber.statistics.zeroedShare)
}
