import Holdfast
import HoldfastCore
import HoldfastLinux
import Testing

struct MappingErrorTests {
  private let arena: Arena
  private let memory: GuestMemory

  init() throws {
    arena = try Arena(size: .mebibytes(4), backing: .base)
    memory = try GuestMemory(arena: arena, limit: .mebibytes(16))
  }

  private func code(_ body: () throws -> Void) -> HoldfastError.Code? {
    do {
      try body()
    } catch let error as HoldfastError {
      #expect(!error.description.contains("\n") && error.description.hasPrefix("cannot "))
      return error.code
    } catch {
      Issue.record("an error of another type: \(error)")
    }
    return nil
  }

  @Test func `segments are named once, in whole pages`() throws {
    _ = try memory.allocateSegment("ram", size: .mebibytes(1))
    #expect(code { _ = try memory.allocateSegment("ram", size: .mebibytes(1)) } == .alreadyExists)
    #expect(code { _ = try memory.allocateSegment("ram", size: .mebibytes(2)) } == .invalidArgument)
    #expect(code { _ = try memory.allocateSegment("", size: .mebibytes(2)) } == .invalidArgument)
    #expect(code { _ = try memory.allocateSegment("a", size: .zero) } == .invalidArgument)
    #expect(code { _ = try memory.allocateSegment("a", size: ByteCount(5)) } == .invalidArgument)
  }

  @Test func `a mapping must be aligned, in bounds and free`() throws {
    let ram = try memory.allocateSegment("ram", size: .mebibytes(2))
    let page = ByteCount.kibibytes(4)
    func map(
      at address: UInt64, offset: ByteCount = .zero, length: ByteCount? = nil,
      protection: Protection = .readWrite
    ) -> HoldfastError.Code? {
      code {
        try memory.map(
          ram, at: Address(address), offset: offset, length: length, protection: protection)
      }
    }
    #expect(map(at: 1) == .invalidArgument)
    #expect(map(at: 0, offset: ByteCount(1)) == .invalidArgument)
    #expect(map(at: 0, offset: .mebibytes(3)) == .invalidArgument)
    #expect(map(at: 0, length: .zero) == .invalidArgument)
    #expect(map(at: 0, length: ByteCount(100)) == .invalidArgument)
    #expect(map(at: 0, length: .mebibytes(3)) == .invalidArgument)
    #expect(map(at: 0, offset: page, length: .mebibytes(2)) == .invalidArgument)
    #expect(map(at: 15 << 20) == .invalidArgument)
    #expect(map(at: UInt64.max - 4095) == .invalidArgument)
    #expect(map(at: 0, protection: []) == .invalidArgument)
    #expect(map(at: 1 << 20) == nil)
    #expect(map(at: 0) == .noSpace)
    #expect(map(at: 0, length: .mebibytes(1)) == nil)
    #expect(memory.space.entryViews.count == 2)
  }

  @Test func `a mapping that cannot be wired is removed again`() throws {
    let ram = try memory.allocateSegment("ram", size: .mebibytes(8))
    for path in [GuestMemory.WirePath.prefault, .fault] {
      let error = #expect(throws: HoldfastError.self) {
        try memory.map(ram, at: .zero, options: .wired, path: path)
      }
      #expect(error?.code == .resourceShortage)
      #expect(error?.advice == .enlargeArena(free: .mebibytes(4), total: .mebibytes(4)))
      #expect(memory.space.entryViews.isEmpty)
      #expect(arena.allocator.occupancy.free == PageCount(1024))
    }
  }

  @Test func `the wired limit holds over guests`() throws {
    let limit = WiredLimit(.mebibytes(1))
    let one = try GuestMemory(arena: arena, limit: .mebibytes(16), wiredLimit: limit)
    let two = try GuestMemory(arena: arena, limit: .mebibytes(16), wiredLimit: limit)
    let small = try one.allocateSegment("ram", size: .kibibytes(512))
    let large = try two.allocateSegment("ram", size: .kibibytes(516))
    let receipt = try one.map(small, at: .zero, options: .wired)
    #expect(code { try two.map(large, at: .zero, options: .wired) } == .resourceShortage)
    try one.unwire(receipt.range)
    #expect(code { try two.map(large, at: .zero, options: .wired) } == nil)
    #expect(limit.current == .kibibytes(516))
  }

  @Test func `a segment of another arena is refused`() throws {
    let other = try GuestMemory(
      arena: Arena(size: .mebibytes(4), backing: .base), limit: .mebibytes(4))
    let foreign = try other.allocateSegment("ram", size: .mebibytes(1))
    #expect(code { try memory.map(foreign, at: .zero) } == .invalidArgument)
    #expect(code { _ = try GuestMemory(arena: arena, limit: ByteCount(5)) } == .invalidArgument)
    #expect(code { _ = try GuestMemory(arena: arena, limit: .zero) } == .invalidArgument)
  }

  @Test func `a receipt outlives its memory without keeping it`() throws {
    var guest: GuestMemory? = try GuestMemory(arena: arena, limit: .mebibytes(4))
    let segment = try guest!.allocateSegment("ram", size: .mebibytes(1))
    let receipt = try guest!.map(segment, at: .zero, options: .wired)
    guest = nil
    #expect(code { _ = try receipt.verify() } == .invalidAddress)
    #expect(receipt.wiredBytes == .mebibytes(1))
  }
}
