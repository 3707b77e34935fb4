import Glibc
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

/// Guests in private memory with transparent huge pages, placed in the arena's own mapping.
struct PlacedGuestTests {
  static let isPossible =
    (HostProbe().host().transparentHugePages.privateMemory ?? .never) != .never

  private func arena(_ size: ByteCount) throws -> Arena {
    try Arena(size: size, backing: .thpPrivate, threads: 2)
  }

  private func wired(
    _ arena: Arena, _ size: ByteCount
  ) throws -> (memory: GuestMemory, receipt: WireReceipt) {
    let memory = try GuestMemory(arena: arena, limit: size)
    let ram = try memory.allocateSegment("ram", size: size)
    return (memory, try memory.map(ram, at: .zero, options: .wired))
  }

  private func pointer(_ memory: GuestMemory, _ offset: UInt64) -> UnsafeMutablePointer<UInt8> {
    UnsafeMutablePointer(bitPattern: UInt(memory.hostAddress + offset))!
  }

  @Test(.enabled(if: isPossible, "needs transparent huge pages of private memory"))
  func `guests are side by side in the arena and match their receipts`() throws {
    let arena = try arena(.mebibytes(64))
    #expect(arena.allocator.occupancy.zeroed == PageCount(64 << 8))
    let (one, first) = try wired(arena, .mebibytes(24))
    let (two, second) = try wired(arena, .mebibytes(32))
    for (memory, receipt) in [(one, first), (two, second)] {
      #expect(receipt.zeroedNowBytes == .zero && receipt.backing == .thpPrivate)
      #expect(try receipt.verify().problems == [])
      #expect(memory.invariantProblems() == [])
      #expect(memory.hostAddress % (2 << 20) == 0)
    }
    try one.write([UInt8](repeating: 0x11, count: 24 << 20), to: .zero)
    #expect(pointer(one, 24 << 20 - 1).pointee == 0x11)
    pointer(two, 5).pointee = 0x22
    #expect(try two.read(.zero, count: 8) == [0, 0, 0, 0, 0, 0x22, 0, 0])
    #expect(try one.read(.zero, count: 8) == [UInt8](repeating: 0x11, count: 8))
  }

  @Test(.enabled(if: isPossible, "needs transparent huge pages of private memory"))
  func `what a guest leaves behind is zeroed for the next, also beyond its segments`() throws {
    let arena = try arena(.mebibytes(32))
    do {
      let memory = try GuestMemory(arena: arena, limit: .mebibytes(32))
      let ram = try memory.allocateSegment("ram", size: .mebibytes(8))
      try memory.map(ram, at: .zero, options: .wired)
      for offset in [0, 9 << 20, 31 << 20] as [UInt64] { pointer(memory, offset).pointee = 0x5A }
      #expect(arena.allocator.occupancy.free == .zero)
    }
    #expect(arena.allocator.occupancy.free == PageCount(32 << 8))
    #expect(arena.allocator.occupancy.zeroed == .zero)
    // Before any of it is wired, since all of it is accessible.
    let bare = try GuestMemory(arena: arena, limit: .mebibytes(32))
    for offset in [0, 9 << 20, 31 << 20] as [UInt64] { #expect(pointer(bare, offset).pointee == 0) }
    let ram = try bare.allocateSegment("ram", size: .mebibytes(32))
    let receipt = try bare.map(ram, at: .zero, options: .wired)
    #expect(receipt.fallbacks.contains { $0.contains("32 MiB were zeroed before") })
    let memory = bare
    #expect(try memory.read(.zero, count: 32 << 20).isZero)
  }

  @Test(.enabled(if: isPossible, "needs transparent huge pages of private memory"))
  func `frames go to another guest only when nothing of the guest is left`() throws {
    let arena = try arena(.mebibytes(16))
    var segment: MemorySegment?
    do {
      let memory = try GuestMemory(arena: arena, limit: .mebibytes(16))
      segment = try memory.allocateSegment("ram", size: .mebibytes(16))
      try memory.map(segment!, at: .zero, options: .wired)
    }
    #expect(throws: HoldfastError.self) {
      try GuestMemory(arena: arena, limit: .mebibytes(2))
    }
    segment = nil
    #expect(arena.allocator.occupancy.free == PageCount(16 << 8))
  }

  @Test(.enabled(if: isPossible, "needs transparent huge pages of private memory"))
  func `what needs a file is refused with a reason`() throws {
    let arena = try arena(.mebibytes(16))
    let memory = try GuestMemory(arena: arena, limit: .mebibytes(16))
    let ram = try memory.allocateSegment("ram", size: .mebibytes(4))
    func refused(_ words: String, _ body: () throws -> Void) {
      #expect {
        try body()
      } throws: { error in
        "\(error)".contains(words) && "\(error)".contains("hugetlb-2M")
      }
    }
    refused("on demand") { try memory.map(ram, at: .zero) }
    refused("protected") { try memory.map(ram, at: .zero, protection: .read, options: .wired) }
    try memory.map(ram, at: Address(2 << 20), options: .wired)
    refused("another address") { try memory.map(ram, at: Address(8 << 20), options: .wired) }
    refused("fork") { _ = try memory.space.fork(pmap: NullPmap()) }
    #expect(throws: HoldfastError.self) {
      try WindowPmap(arena: arena, length: .mebibytes(4), host: HostProbe().host())
    }
    #expect(memory.invariantProblems() == [])
    // Freed and unmapped, its place is free for another guest.
    try memory.unmap(AddressRange(from: .zero, to: Address(16 << 20)))
    try memory.freeSegment(ram)
    #expect(throws: HoldfastError.self) {
      try GuestMemory(arena: arena, limit: .mebibytes(4))
    }
  }

  @Test(.enabled(if: isPossible, "needs transparent huge pages of private memory"))
  func `a private arena grows and shrinks too`() throws {
    let arena = try Arena(
      size: .mebibytes(16), maximum: .mebibytes(48), backing: .thpPrivate, threads: 2)
    let (memory, _) = try wired(arena, .mebibytes(8))
    try memory.write([1, 2, 3], to: .zero)
    #expect(try arena.shrink(by: .mebibytes(8)) == .mebibytes(8))
    try arena.grow(by: .mebibytes(40))
    let (other, receipt) = try wired(arena, .mebibytes(32))
    #expect(try receipt.verify().problems == [])
    #expect(try other.read(.zero, count: 3) == [0, 0, 0])
    #expect(try memory.read(.zero, count: 3) == [1, 2, 3])
  }
}
