import ExampleSupport
import Holdfast

// Makes a guest whose pages come on demand, forks it, and shows that both sides have copies.
runExample(unlessHost: pagingProblem) {
  let arena = try Arena(size: .mebibytes(128), for: .forking)
  let template = try GuestMemory(
    arena: arena, limit: .mebibytes(64), demandPaging: DemandPaging())
  let ram = try template.allocateSegment("ram", size: .mebibytes(64))
  print(try template.map(ram, at: .zero))

  // An access by a device or a vCPU goes through the window; Holdfast serves the page fault.
  let word = Address(0x20_0000)
  store(42, in: template, at: word)
  let resident = template.residency(in: template.addresses).residentBytes
  print("resident after one access: \(resident)")

  let (child, receipt) = try template.fork()
  print(receipt)
  try check(load(from: child, at: word) == 42, "the child has the parent's bytes")
  store(7, in: child, at: word)
  try check(load(from: child, at: word) == 7, "the child has what it wrote")
  try check(load(from: template, at: word) == 42, "the parent keeps its own bytes")

  if let statistics = child.faultHandler?.statistics {
    print(
      "page faults of the child: \(statistics.demandFaults) for absent pages, "
        + "\(statistics.copyFaults) for writes to shared ones")
  }
}

/// The address of a guest's word in this process.
func pointer(_ memory: GuestMemory, _ address: Address) -> UnsafeMutablePointer<UInt64> {
  UnsafeMutablePointer(bitPattern: UInt(memory.hostAddress + address.rawValue))!
}

func store(_ value: UInt64, in memory: GuestMemory, at address: Address) {
  pointer(memory, address).pointee = value
}

func load(from memory: GuestMemory, at address: Address) -> UInt64 {
  pointer(memory, address).pointee
}
