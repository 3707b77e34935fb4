import HoldfastCore
import Testing

import struct HoldfastLinux.Host

@testable import HoldfastCLI
@testable import HoldfastLinux

@Suite struct WirePlanTests {
  private func host(small: UInt64, giant: UInt64) -> Host {
    var host = HostProbe(root: "/nonexistent").host()
    host.memory.available = .gibibytes(16)
    host.hugePages = [(ByteCount.mebibytes(2), small), (.gibibytes(1), giant)].map {
      Host.HugePages(size: $0, total: PageCount($1), free: PageCount($1), reserved: .zero)
    }
    return host
  }

  private func plan(
    _ host: Host, _ memory: ByteCount, _ backing: BackingOption, reserve: Bool = true
  ) throws -> WirePlan {
    try WirePlan(host, memory: memory, backing: backing, reserve: reserve)
  }

  @Test func onlyWhatIsMissingIsReserved() throws {
    let host = host(small: 200, giant: 3)
    let small = try plan(host, .gibibytes(4), .hugetlb2M)
    #expect(small.missing?.pages == PageCount(1848) && small.missing?.pageSize == .mebibytes(2))
    let enough = try plan(host, .mebibytes(400), .hugetlb2M)
    #expect(enough.missing?.pages == .zero)
    let giant = try plan(host, .gibibytes(4), .hugetlb1G)
    #expect(giant.missing?.pages == .one && giant.missing?.pageSize == .gibibytes(1))
  }

  @Test func automaticTakesAPoolWithRoomAndElseAddsSmallPages() throws {
    let host = host(small: 200, giant: 3)
    let ready = try plan(host, .gibibytes(3), .auto)
    #expect(ready.backing == .hugetlb1G && ready.missing?.pages == .zero)
    let added = try plan(host, .gibibytes(4), .auto)
    #expect(added.backing == .hugetlb2M && added.missing?.pages == PageCount(1848))
    let untouched = try plan(host, .gibibytes(4), .auto, reserve: false)
    #expect(untouched.backing == nil && untouched.missing == nil)
  }

  @Test func theCgroupOfHugePagesIsNoMatterOfReserving() throws {
    var host = host(small: 200, giant: 0)
    host.hugePages[0].cgroupRemaining = .gibibytes(1)
    let error = #expect(throws: HostError.self) { try plan(host, .gibibytes(4), .auto) }
    #expect(error?.what.contains("the hugetlb cgroup leaves 1 GiB") == true)
  }
}
