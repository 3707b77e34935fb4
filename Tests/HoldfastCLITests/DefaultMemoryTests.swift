import HoldfastCore
import Testing

@testable import HoldfastCLI
@testable import HoldfastLinux

// Foundation, where it is imported by others of this module, has a class of the same name.

struct DefaultMemoryTests {
  /// A host with ordinary memory and free huge pages of 2 MiB and 1 GiB, in MiB.
  private func host(_ ordinary: UInt64, small: UInt64 = 0, giant: UInt64 = 0) -> HostCapabilities {
    var host = HostProbe(root: "/nonexistent").host()
    host.memory.available = .mebibytes(ordinary)
    host.hugePages = [(ByteCount.mebibytes(2), small / 2), (.gibibytes(1), giant / 1024)].map {
      HostCapabilities.HugePages(
        size: $0, total: PageCount($1), free: PageCount($1), reserved: .zero)
    }
    return host
  }

  @Test(
    arguments: [
      // Ordinary memory, 2 MiB pool, 1 GiB pool; the size. All in MiB.
      (22_000, 0, 0, 10_240), (22_000, 400, 0, 10_240), (8192, 0, 0, 3072), (3000, 0, 0, 1468),
      (100, 0, 0, 18), (66, 0, 0, 2), (10, 0, 0, 2), (0, 0, 0, 2),
      // The pool is larger, and so is used.
      (4096, 20_480, 0, 10_240), (4096, 0, 8192, 4096), (100, 6144, 0, 3072),
      // Half of the ordinary memory would be most of the pool, so it is half of the pool.
      (8192, 6144, 0, 3072), (16_384, 6144, 0, 7168), (8192, 3500, 0, 1750),
      // Half of the larger pool is all of the smaller, better one.
      (100, 8192, 4096, 2048),
      // One page of 1 GiB has no half.
      (100, 0, 1024, 18),
    ] as [(UInt64, UInt64, UInt64, UInt64)])
  func automatic(_ ordinary: UInt64, _ small: UInt64, _ giant: UInt64, _ size: UInt64) {
    let memory = DefaultMemory(host(ordinary, small: small, giant: giant))
    #expect(memory.bytes(for: .auto) == .mebibytes(size))
  }

  @Test func anExplicitBacking() {
    let memory = DefaultMemory(host(8192, small: 400))
    #expect(memory.bytes(for: .base) == .mebibytes(3072))
    #expect(memory.bytes(for: .thp) == .mebibytes(3072))
    #expect(memory.bytes(for: .hugetlb2M) == .mebibytes(200))
    // There are no pages: the default is the size for ordinary memory.
    #expect(memory.bytes(for: .hugetlb1G) == .mebibytes(3072))
  }

  @Test func reservingAddsOrdinaryMemory() {
    var host = host(4096, small: 2048)
    #expect(DefaultMemory(host).bytes(for: .auto, reserving: true) == .gibibytes(3))
    #expect(DefaultMemory(host).bytes(for: .hugetlb1G, reserving: true) == .gibibytes(2))
    host.hugePages[0].cgroup = .init(
      file: "/x/hugetlb.2MB.max", limit: .gibibytes(1), remaining: .gibibytes(1))
    #expect(DefaultMemory(host).bytes(for: .auto, reserving: true) == .mebibytes(512))
  }

  @Test func theCommandAlwaysHasRoomForItsDefault() throws {
    for ordinary in stride(from: UInt64(68), to: 3000, by: 14) {
      for (small, giant) in [(0, 0), (2, 0), (500, 0), (2500, 0), (0, 3072)] as [(UInt64, UInt64)] {
        var host = host(ordinary, small: small, giant: giant)
        host.transparentHugePages.sharedMemory = ordinary.isMultiple(of: 4) ? .advise : .never
        let size = DefaultMemory(host).bytes(for: .auto)
        #expect(throws: Never.self, "\(ordinary) \(small) \(giant)") {
          try BackingChoice(size: size, wanted: nil, host: host)
        }
      }
    }
  }
}
