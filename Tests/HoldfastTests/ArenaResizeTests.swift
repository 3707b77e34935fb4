import Glibc
import Holdfast
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

/// Arenas that grow and shrink under running guests.
struct ArenaResizeTests {
  private func backings() -> [Backing] {
    [.base] + (HostNeeds.sharedHugePages ? [.thp] : [])
      + (HostNeeds.hugePages(.mebibytes(128)) ? [.hugetlb2M] : [])
  }

  /// The resident bytes of the arena's file by the kernel's count.
  private func blocks(_ arena: Arena) -> UInt64 {
    var status = stat()
    fstat(arena.descriptor ?? -1, &status)
    return UInt64(status.st_blocks) * 512
  }

  @Test func `an arena grows and shrinks, and a guest in it keeps its bytes`() throws {
    try HugePageLock.withLock {
      for backing in backings() { try check(backing) }
    }
  }

  private func check(_ backing: Backing) throws {
    let pool = backing.hugePageSize.map { HugePagePool(size: $0) }
    let free = try pool?.counts().available
    do {
      let arena = try Arena(
        size: .mebibytes(32), maximum: .mebibytes(96), backing: backing, threads: 2)
      #expect(arena.size == .mebibytes(32) && arena.maximumSize == .mebibytes(96))
      let guest = try GuestMemory(arena: arena, limit: .mebibytes(64))
      let ram = try guest.allocateSegment("ram", size: .mebibytes(64))
      try guest.map(ram, at: .zero, length: .mebibytes(24), options: .wired)
      let marker = [UInt8](repeating: 0x5A, count: 24 << 20)
      try guest.write(marker, to: .zero)

      #expect(try arena.shrink(by: .mebibytes(8)) == .mebibytes(8))
      #expect(arena.size == .mebibytes(24) && blocks(arena) == 24 << 20)
      #expect(try arena.shrink(by: .mebibytes(8)) == .zero)
      if let pool, let free { #expect(try pool.counts().available + PageCount(12) == free) }
      #expect(throws: HoldfastError.self) {
        try guest.map(
          ram, at: Address(24 << 20), offset: .mebibytes(24), length: .mebibytes(2),
          options: .wired)
      }

      try arena.grow(by: .mebibytes(60))
      #expect(arena.size == .mebibytes(84) && blocks(arena) == 84 << 20)
      #expect(arena.allocator.occupancy.zeroed == arena.geometry.pages(in: .mebibytes(60)))
      let receipt = try guest.map(
        ram, at: Address(24 << 20), offset: .mebibytes(24), options: .wired)
      #expect(receipt.zeroedNowBytes == .zero)
      #expect(try receipt.verify().problems == [])
      #expect(try guest.read(.zero, count: marker.count).isSame(as: marker))
      let fresh = try guest.read(Address(24 << 20), count: 40 << 20)
      #expect(fresh.isZero)
      #expect(guest.invariantProblems() == [])

      #expect {
        try arena.grow(by: .mebibytes(20))
      } throws: { error in
        "\(error)".contains("maximum of 96 MiB") && "\(error)".contains("at most 12 MiB")
      }
      #expect(arena.size == .mebibytes(84))
    }
    if let pool, let free { #expect(try pool.counts().available == free) }
  }

  @Test func `new memory of an arena is zeroed and allocated like the rest`() throws {
    let arena = try Arena(
      size: .mebibytes(16), maximum: .mebibytes(64), backing: .base, threads: 2)
    try arena.grow(by: .mebibytes(48))
    for _ in 0..<2 {
      let guest = try GuestMemory(arena: arena, limit: .mebibytes(64))
      let ram = try guest.allocateSegment("ram", size: .mebibytes(64))
      let receipt = try guest.map(ram, at: .zero, options: .wired)
      #expect(try receipt.verify().problems == [])
      #expect(
        try receipt.verify().nodes.map { $0.values.reduce(0) { $0 + $1.rawValue } } ?? 64 << 20
          == 64 << 20)
      #expect(try guest.read(.zero, count: 64 << 20).isZero)
      try guest.write([UInt8](repeating: 0xA5, count: 64 << 20), to: .zero)
    }
  }

  @Test func `an arena does not grow beyond the host's memory`() throws {
    let arena = try Arena(
      size: .mebibytes(8), maximum: .tebibytes(8), backing: .base, threads: 2)
    #expect(throws: HoldfastError.self) { try arena.grow(by: .tebibytes(4)) }
    #expect(arena.size == .mebibytes(8) && blocks(arena) == 8 << 20)
    try arena.grow(by: .mebibytes(8))
    #expect(blocks(arena) == 16 << 20)
  }

  @Test func `an arena shrinks by frames of reservations too`() throws {
    let arena = try Arena(
      size: .mebibytes(32), maximum: .mebibytes(32), backing: .base, threads: 2)
    let guest = try GuestMemory(arena: arena, limit: .mebibytes(32))
    let ram = try guest.allocateSegment("ram", size: .mebibytes(32))
    try guest.map(ram, at: .zero)
    for megabyte in stride(from: UInt64(0), to: 32, by: 2) {
      try guest.write([7], to: Address(megabyte << 20))
    }
    #expect(arena.allocator.occupancy.free == .zero)
    #expect(try arena.shrink(by: .mebibytes(31)) == .zero)
    // Each superpage has a page of the guest; compaction frees whole superpages.
    let whole = arena.memory.compact().superpages
    #expect(whole >= 13)
    #expect(try arena.shrink(by: .mebibytes(31)) == .mebibytes(UInt64(2 * whole)))
    for megabyte in stride(from: UInt64(0), to: 32, by: 2) {
      #expect(try guest.read(Address(megabyte << 20), count: 1) == [7])
    }
    try arena.grow(by: .mebibytes(UInt64(2 * whole)))
    try guest.wire(AddressRange(from: .zero, to: Address(32 << 20)))
    #expect(guest.invariantProblems() == [])
  }
}
