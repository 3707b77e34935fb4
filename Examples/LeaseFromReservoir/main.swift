import ExampleSupport
import Foundation
import Holdfast
import HoldfastReservoir

// Leases ready memory and wires a guest on it: `LeaseFromReservoir MOUNT [MIB]` from the reservoir
// on a mount of hugetlbfs, or without arguments from a reservoir on tmpfs, made for the example.
runExample {
  let arguments = CommandLine.arguments.dropFirst()
  let size = ByteCount.mebibytes(arguments.dropFirst().first.flatMap { UInt64($0) } ?? 64)
  if let mount = arguments.first {
    try wireGuest(on: Reservoir(mount: mount), size)
  } else {
    let folder = "/dev/shm/holdfast-example-\(UUID())"
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let reservoir = try Reservoir.create(mount: folder)
    // Once, ahead: populates and zeroes the memory.
    _ = try reservoir.fill(FillPlan([FillPlan.Part(count: 1, size: size)]))
    try wireGuest(on: reservoir, size)
  }
}

func wireGuest(on reservoir: Reservoir, _ size: ByteCount) throws {
  let lease = try reservoir.lease(LeaseRequest(size: size))
  print("leased \(lease.receipt.path) in \(lease.receipt.seconds) s")
  do {
    let arena = try Arena(adopting: lease)
    let memory = try GuestMemory(arena: arena, limit: size)
    let ram = try memory.allocateSegment("ram", size: size)
    let receipt = try memory.map(ram, at: .zero, options: .wired)
    print(receipt)
    try check(receipt.zeroedNowBytes == .zero, "leased memory is zeroed ahead")
    try check(try receipt.verify().isVerified, "the kernel's view matches the receipt")
  }
  // With its arena the lease ended: its memory was scrubbed and is ready again.
  let ready = try reservoir.status().rows.reduce(0) { $0 + $1.ready }
  print("ready again: \(ready)")
}
