import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

/// Guests for wiring, which are in the arena's own mapping where their frames can be one run.
struct DirectGuestTests {
  static let backings: [Backing] = [.base, .thp]

  private func guest(
    _ arena: Arena, _ size: ByteCount, for purpose: GuestPurpose? = .wiring
  ) throws -> (memory: GuestMemory, receipt: WireReceipt) {
    let memory = try GuestMemory(arena: arena, limit: size, for: purpose)
    let ram = try memory.allocateSegment("ram", size: size)
    return (memory, try memory.map(ram, at: .zero, options: .wired))
  }

  private func pointer(_ memory: GuestMemory, _ offset: UInt64) -> UnsafeMutablePointer<UInt8> {
    UnsafeMutablePointer(bitPattern: UInt(memory.hostAddress + offset))!
  }

  @Test(arguments: backings)
  func `guests of both kinds share an arena, each with its own frames`(backing: Backing) throws {
    let arena = try Arena(size: .mebibytes(48), backing: backing, threads: 2)
    let (one, first) = try guest(arena, .mebibytes(16))
    let (two, second) = try guest(arena, .mebibytes(8), for: nil)
    let (three, third) = try guest(arena, .mebibytes(16))
    #expect([one, two, three].map(\.placement) == [.direct, .window, .direct])
    #expect(first.placement == .direct && second.placement == .window)
    #expect(second.placementReason.contains("for mapping"))
    for receipt in [first, second, third] { #expect(try receipt.verify().problems == []) }
    for (value, memory) in zip([1, 2, 3] as [UInt8], [one, two, three]) {
      try memory.write([UInt8](repeating: value, count: 8 << 20), to: .zero)
    }
    for (value, memory) in zip([1, 2, 3] as [UInt8], [one, two, three]) {
      #expect(pointer(memory, 0).pointee == value && pointer(memory, 8 << 20 - 1).pointee == value)
    }
    #expect(one.invariantProblems() == [] && three.invariantProblems() == [])
    #expect(two.invariantProblems(with: [one, three]) == [])
  }

  @Test(arguments: backings)
  func `the next guest finds zeros, wherever it is`(backing: Backing) throws {
    let arena = try Arena(size: .mebibytes(16), backing: backing, threads: 2)
    for purpose in [.wiring, .mapping, .wiring, .wiring] as [GuestPurpose] {
      let (memory, receipt) = try guest(arena, .mebibytes(16), for: purpose)
      #expect(receipt.placement == (purpose == .wiring ? .direct : .window))
      #expect(try memory.read(.zero, count: 16 << 20).isZero)
      for offset in stride(from: UInt64(0), to: 16 << 20, by: 4096) {
        pointer(memory, offset).pointee = 0x5A
      }
    }
    #expect(arena.allocator.occupancy.zeroed == .zero)
  }

  /// Without one free run the guest gets a window, and says so.
  @Test(arguments: backings)
  func `fragmented memory gives a window`(backing: Backing) throws {
    let arena = try Arena(size: .mebibytes(16), backing: backing, threads: 2)
    let holder = try GuestMemory(arena: arena, limit: .mebibytes(16))
    var segments: [MemorySegment] = []
    for start in stride(from: UInt64(0), to: 16, by: 2) {
      let segment = try holder.allocateSegment("ram\(start)", size: .mebibytes(2))
      try holder.map(segment, at: Address(start << 20), options: .wired)
      segments.append(segment)
    }
    for start in stride(from: UInt64(0), to: 16, by: 4) {
      try holder.unmap(AddressRange(from: Address(start << 20), to: Address((start + 2) << 20)))
      try holder.freeSegment(segments[Int(start / 2)])
    }
    segments = []
    let (memory, receipt) = try guest(arena, .mebibytes(4))
    #expect(memory.placement == .window)
    #expect(receipt.placementReason.contains("no free run of 4 MiB"), "\(receipt)")
    #expect(try receipt.verify().problems == [])
  }

  @Test func `what a guest for wiring cannot do names the purpose`() throws {
    let arena = try Arena(size: .mebibytes(16), backing: .base, threads: 1)
    func refused(_ words: String, _ body: () throws -> Void) {
      #expect {
        try body()
      } throws: { error in
        let text = "\(error)"
        return text.contains(words) && text.contains("mapping")
          && (error as? HoldfastError)?.code == .invalidArgument
      }
    }
    refused("not paged") {
      _ = try GuestMemory(
        arena: arena, limit: .mebibytes(4), for: .wiring, demandPaging: DemandPaging())
    }
    let memory = try GuestMemory(arena: arena, limit: .mebibytes(8), for: .wiring)
    let ram = try memory.allocateSegment("ram", size: .mebibytes(4))
    refused("must be wired") { try memory.map(ram, at: .zero) }
    refused("protected") { try memory.map(ram, at: .zero, protection: .read, options: .wired) }
    try memory.map(ram, at: .zero, options: .wired)
    refused("stay accessible") { try memory.unmap(AddressRange(from: .zero, to: Address(1 << 20))) }
    refused("stay accessible") {
      try memory.unmap(AddressRange(from: Address(1 << 20), to: Address(8 << 20)))
    }
    refused("another address") { try memory.map(ram, at: Address(4 << 20), options: .wired) }
    #expect(throws: HoldfastError.self) { try memory.fork() }
    try memory.unmap(AddressRange(from: .zero, to: Address(8 << 20)))
    #expect(memory.invariantProblems() == [])
  }

  @Test(.enabled(if: HostNeeds.hugePages(.mebibytes(32)), "\(HostNeeds.hugePagesComment)"))
  func `huge pages are placed where a window shares no page table`() throws {
    let arena = try Arena(size: .mebibytes(32), backing: .hugetlb2M, threads: 1)
    let (memory, receipt) = try guest(arena, .mebibytes(16))
    #expect(memory.placement == .direct)
    #expect(try receipt.verify().problems == [])
  }

  @Test func `private memory serves no guest for mapping`() throws {
    guard PlacedGuestTests.isPossible else { return }
    let arena = try Arena(size: .mebibytes(16), backing: .thpPrivate, threads: 1)
    #expect {
      _ = try GuestMemory(arena: arena, limit: .mebibytes(4), for: .mapping)
    } throws: {
      "\($0)".contains("serves only guests for wiring")
    }
  }

  @Test func `the receipt's placement passes through JSON`() throws {
    let arena = try Arena(size: .mebibytes(8), backing: .base, threads: 1)
    let (_, receipt) = try guest(arena, .mebibytes(8))
    #expect("\(receipt)".contains("placement: direct, the guest is for wiring"))
  }
}
