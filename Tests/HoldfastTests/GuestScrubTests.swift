import Glibc
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

/// Guests that run one after another on memory that is scrubbed in between.
struct GuestScrubTests {
  private func check(_ backing: Backing) throws {
    let arena = try Arena(size: .mebibytes(64), backing: backing, threads: 2)
    arena.memory.checkZeroed()
    let scrubber = try Scrubber(memory: arena.memory)
    let dirt = [UInt8](repeating: 0xA5, count: 1 << 20)
    func run(_ round: Int) throws {
      let guest = try GuestMemory(arena: arena, limit: arena.size)
      let ram = try guest.allocateSegment("ram", size: arena.size)
      let receipt = try guest.map(ram, at: .zero, options: .wired)
      #expect(receipt.wiredBytes == arena.size, "round \(round)")
      #expect(receipt.zeroedAheadBytes == arena.size && receipt.zeroedNowBytes == .zero)
      #expect(try receipt.verify().isVerified)
      let words = UnsafePointer<UInt8>(bitPattern: UInt(guest.hostAddress))!
      #expect(words[0] == 0 && memcmp(words, words + 1, Int(arena.size.rawValue) - 1) == 0)
      for mebibyte in 0..<UInt64(64) { try guest.write(dirt, to: Address(mebibyte << 20)) }
    }
    for round in 0..<3 {
      try run(round)
      #expect(scrubber.waitUntilZeroed(atMost: .forIdleThreads), "round \(round)")
    }
    #expect(scrubber.statistics.scrubbed == ByteCount(3 * arena.size.rawValue))
  }

  @Test func `the next guest finds base pages zeroed`() throws {
    try check(.base)
  }

  @Test(.enabled(if: HostNeeds.hugePages(.mebibytes(64)), "\(HostNeeds.hugePagesComment)"))
  func `the next guest finds huge pages zeroed`() throws {
    try HugePageLock.withLock { try check(.hugetlb2M) }
  }

  @Test func `a guest gets all of the memory while it is scrubbed`() throws {
    let arena = try Arena(size: .mebibytes(64), backing: .base, threads: 2)
    arena.memory.checkZeroed()
    let scrubber = try Scrubber(memory: arena.memory, options: Scrubber.Options(threads: 2))
    for _ in 0..<20 {
      let guest = try GuestMemory(arena: arena, limit: arena.size)
      let ram = try guest.allocateSegment("ram", size: arena.size)
      let receipt = try guest.map(ram, at: .zero, options: .wired)
      #expect(receipt.wiredBytes == arena.size)
      #expect(receipt.zeroedAheadBytes + receipt.zeroedNowBytes == arena.size)
      try guest.write([1], to: Address(12345))
    }
    scrubber.stop()
    #expect(arena.allocator.occupancy.free == PageCount(1 << 14))
  }

  @Test func `an environment variable makes arenas check zeroed frames`() async throws {
    let result = try #require(
      await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
        setenv("HOLDFAST_CHECK_ZEROED", "1", 1)
        let arena = try Arena(size: .mebibytes(4), backing: .base)
        var dirty: [FrameRun] = []
        let run = arena.allocator.allocate(order: 4, dirty: &dirty)!.run
        arena.write([7].span.bytes, to: run.start + .one, offset: ByteCount(4000))
        arena.allocator.free(run, zeroed: true)
      })
    let text = String(decoding: result.standardErrorContent, as: UTF8.self)
    #expect(text.contains("is freed as zeroed but is not zero"))
  }
}
