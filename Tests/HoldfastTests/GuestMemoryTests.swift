import Glibc
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

/// Guests on real memory, checked against the kernel's own view.
struct GuestMemoryTests {
  private func check(
    _ backing: Backing, _ path: GuestMemory.WirePath
  ) throws {
    let arena = try Arena(size: .mebibytes(64), backing: backing, threads: 2)
    let memory = try GuestMemory(arena: arena, limit: .gibibytes(1))
    // The head and the tail are not whole superpages where the backing allows it.
    let odd = arena.geometry.pageSize
    let ram = try memory.allocateSegment("ram", size: .mebibytes(34) + odd)
    let receipt = try memory.map(ram, at: .zero + odd, options: .wired, path: path)
    let verification = try receipt.verify()
    #expect(verification.problems == [])
    #expect(verification.presentBytes == ram.size && verification.residentBytes == ram.size)
    #expect(receipt.requestedBytes == ram.size && receipt.wiredBytes == ram.size)
    #expect(receipt.residentBytes == ram.size)
    #expect(receipt.zeroedAheadBytes == ram.size && receipt.zeroedNowBytes == .zero)
    #expect(receipt.path?.rawValue == path.rawValue && receipt.backing == backing)
    #expect(verification.comparedFrames == HostNeeds.seesFrames)
    let total = receipt.pages.reduce(0) { $0 + $1.key.rawValue * $1.value }
    #expect(total == ram.size.rawValue)
    #expect(memory.invariantProblems() == [])
    try memory.unmap(receipt.range)
    #expect(memory.invariantProblems() == [])
    // The check finds that unmapped memory contradicts the receipt.
    #expect(try !receipt.verify().isVerified)
  }

  @Test(arguments: GuestMemory.WirePath.allCases)
  func `base pages match their receipt`(path: GuestMemory.WirePath) throws {
    try check(.base, path == .automatic ? .prefault : path)
  }

  @Test(
    .enabled(if: HostNeeds.sharedHugePages, "\(HostNeeds.sharedHugePagesComment)"),
    arguments: [GuestMemory.WirePath.prefault, .fault])
  func `transparent huge pages match their receipt`(path: GuestMemory.WirePath) throws {
    try check(.thp, path)
  }

  @Test(
    .enabled(if: HostNeeds.hugePages(.mebibytes(64)), "\(HostNeeds.hugePagesComment)"),
    arguments: [GuestMemory.WirePath.prefault, .fault])
  func `huge pages match their receipt`(path: GuestMemory.WirePath) throws {
    try HugePageLock.withLock { try check(.hugetlb2M, path) }
  }

  @Test(arguments: [GuestMemory.WirePath.prefault, .fault])
  func `a guest never sees another's bytes`(path: GuestMemory.WirePath) throws {
    let arena = try Arena(size: .mebibytes(32), backing: .base, threads: 2)
    let marker = [UInt8](repeating: 0xA5, count: 1 << 20)
    do {
      let first = try GuestMemory(arena: arena, limit: arena.size)
      let ram = try first.allocateSegment("ram", size: arena.size)
      try first.map(ram, at: .zero, options: .wired)
      for mebibyte in 0..<UInt64(32) { try first.write(marker, to: Address(mebibyte << 20)) }
    }
    #expect(arena.allocator.occupancy.zeroed == .zero)
    let second = try GuestMemory(arena: arena, limit: arena.size)
    let ram = try second.allocateSegment("ram", size: arena.size)
    let receipt = try second.map(ram, at: .zero, options: .wired, path: path)
    #expect(receipt.zeroedNowBytes == arena.size)
    // Through the window, as the guest would.
    let words = UnsafePointer<UInt64>(bitPattern: UInt(second.hostAddress))!
    let zeros = [UInt64](repeating: 0, count: 1 << 17)
    for mebibyte in 0..<32 {
      #expect(memcmp(words + (mebibyte << 17), zeros, 1 << 20) == 0)
    }
  }

  @Test func `what the guest writes and the monitor reads are the same bytes`() throws {
    let arena = try Arena(size: .mebibytes(8), backing: .base)
    let memory = try GuestMemory(arena: arena, limit: .mebibytes(64))
    let ram = try memory.allocateSegment("ram", size: .mebibytes(4))
    try memory.map(ram, at: Address(1 << 20), options: .wired)
    let place = UnsafeMutablePointer<UInt8>(
      bitPattern: UInt(memory.hostAddress) + (1 << 20) + 4095)!
    place[0] = 17
    place[1] = 18
    #expect(try memory.read(Address(1 << 20) + ByteCount(4094), count: 4) == [0, 17, 18, 0])
    try memory.write([21, 22], to: Address(1 << 20) + ByteCount(4095))
    #expect(place[0] == 21 && place[1] == 22)
    #expect(throws: HoldfastError.self) { try memory.read(.zero, count: 1) }
    #expect(throws: HoldfastError.self) { try memory.read(Address(UInt64.max), count: 2) }
    #expect(throws: HoldfastError.self) { try memory.read(Address(1 << 20), count: -1) }
    #expect(throws: HoldfastError.self) { try memory.read(Address(1 << 20), count: Int.max) }
  }

  @Test func `contents stay while a segment is mapped elsewhere, and go with the segment`() throws {
    let arena = try Arena(size: .mebibytes(8), backing: .base)
    let memory = try GuestMemory(arena: arena, limit: .mebibytes(64))
    let ram = try memory.allocateSegment("ram", size: .mebibytes(4))
    let first = try memory.map(ram, at: .zero, options: .wired)
    try memory.write([1, 2, 3], to: .zero)
    try memory.unmap(first.range)
    let second = try memory.map(
      ram, at: Address(8 << 20), offset: .zero, length: .mebibytes(2), options: .wired)
    #expect(try memory.read(Address(8 << 20), count: 3) == [1, 2, 3])
    #expect(second.zeroedAheadBytes == .zero && second.zeroedNowBytes == .zero)
    #expect(arena.allocator.occupancy.free == PageCount(1024))
    try memory.freeSegment(ram)
    #expect(throws: HoldfastError.self) { try memory.freeSegment(ram) }
  }
}
