import Glibc
import Holdfast
import HoldfastCore
import HoldfastTestKit
import Testing

@_silgen_name("vmsplice")
private func vmsplice(_ end: Int32, _ parts: UnsafePointer<iovec>, _ count: Int, _ flags: UInt32)
  -> Int

/// Pages of a guest to which the kernel has references of its own: vmsplice(2) puts a page into a
/// pipe, which another thread reads when the guest's memory has changed long since.
@Suite(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
struct GuestHoldTests {}

extension GuestHoldTests {
  enum Change: CaseIterable {
    case compact, unmap, end
  }

  @Test(arguments: Change.allCases)
  func `the kernel finds the guest's bytes in held pages, and never another guest's`(
    change: Change
  ) throws {
    let arena = try Arena(size: .mebibytes(8), for: .paging, backing: .base, threads: 1)
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    defer { for end in ends { close(end) } }
    let held: HeldPages
    var guest: GuestMemory?
    do {
      let first = try GuestMemory(
        arena: arena, limit: .mebibytes(16), demandPaging: DemandPaging(granularity: .basePage))
      let ram = try first.allocateSegment("ram", size: .mebibytes(16))
      try first.map(ram, at: .zero)
      // A block with one page, which compaction empties, and one with a hundred.
      try first.write([UInt8](repeating: 0x41, count: 4096), to: .zero)
      for page in 0..<UInt64(100) { try first.write([1], to: Address((2 << 20) + page << 12)) }
      let page = AddressRange(from: .zero, to: Address(4096))
      held = try first.hold(page, for: .read)
      var part = iovec(
        iov_base: UnsafeMutableRawPointer(bitPattern: UInt(first.hostAddress)), iov_len: 4096)
      try #require(vmsplice(ends[1], &part, 1, 0) == 4096)
      switch change {
      case .compact:
        arena.memory.compact()
        guest = first
      case .unmap:
        try first.unmap(AddressRange(from: .zero, to: Address(16 << 20)))
        try first.freeSegment(ram)
        guest = first
      case .end: break
      }
    }
    // Another guest takes all the memory that is left.
    let free = (arena.geometry.bytes(arena.memory.available).rawValue >> 21) << 21
    let other = try GuestMemory(arena: arena, limit: .mebibytes(16))
    let secret = try other.allocateSegment("ram", size: ByteCount(free))
    try other.map(secret, at: .zero, options: .wired)
    let bytes = [UInt8](repeating: 0x42, count: Int(free))
    try other.write(bytes, to: .zero)
    var found = [UInt8](repeating: 0, count: 4096)
    #expect(read(ends[0], &found, 4096) == 4096)
    #expect(found.allSatisfy { $0 == 0x41 }, "\(change)")
    if let guest {
      #expect(guest.invariantProblems(with: [other]) == [])
      held.release()
      #expect(guest.invariantProblems(with: [other]) == [])
    }
  }
}
