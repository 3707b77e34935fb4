import ExampleSupport
import Foundation
import Holdfast

// Saves a guest's memory to a file and restores it, on demand and ahead.
runExample(unlessHost: pagingProblem) {
  let image = FileManager.default.temporaryDirectory
    .appending(path: "holdfast-example-\(UUID()).image").path
  defer { try? FileManager.default.removeItem(atPath: image) }

  let size = ByteCount.mebibytes(32)
  let arena = try Arena(size: .mebibytes(128), for: .paging)
  let guest = try GuestMemory(arena: arena, limit: size, demandPaging: DemandPaging())
  try guest.map(try guest.allocateSegment("ram", size: size), at: .zero)
  let greeting = Array("hello from the first guest".utf8)
  try guest.write(greeting, to: Address(0x10_0000))

  // The guest's processors are stopped here, or the guest is forked and the fork is saved.
  print(try guest.save(guest.addresses, to: image))

  for prefetch in [SnapshotPrefetch.onDemand, .prefetched(threads: 2)] {
    let clone = try GuestMemory(arena: arena, limit: size, demandPaging: DemandPaging())
    let ram = try clone.restoreSegment("ram", from: image, prefetch: prefetch)
    let receipt = try clone.map(ram, at: .zero)
    print("restored \(prefetch): \(receipt.residentBytes) resident")
    let bytes = try clone.read(Address(0x10_0000), count: greeting.count)
    try check(bytes == greeting, "the clone has the guest's bytes")
  }
}
