import Foundation
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

extension FieldTests {
  /// A pool without pages of its own, which the kernel enlarges on demand
  /// (`nr_overcommit_hugepages`).
  ///
  /// One at a time, with the lock of the huge pages: the pool is that of the host.
  @Suite(
    .serialized,
    .enabled(if: HostNeeds.canReserve, "needs root and a writable nr_hugepages for 2 MiB pages"))
  struct OvercommitPoolTests {
    private static let folder = "/sys/kernel/mm/hugepages/hugepages-2048kB/"

    private func number(_ name: String) throws -> Int {
      let text = try String(contentsOfFile: Self.folder + name, encoding: .utf8)
      return try #require(Int(text.trimmingCharacters(in: .whitespacesAndNewlines)))
    }

    private func set(_ name: String, _ value: Int) throws {
      try "\(value)".write(toFile: Self.folder + name, atomically: false, encoding: .utf8)
    }

    /// Calls the body with a pool that has no free page and may get 64 surplus ones.
    private func withOvercommit(_ body: () throws -> Void) throws {
      try HugePageLock.withLock {
        // Pages in use stay in the pool as surplus.
        let (pages, most) = (
          try number("nr_hugepages") - number("surplus_hugepages"),
          try number("nr_overcommit_hugepages")
        )
        defer {
          try? set("nr_overcommit_hugepages", most)
          try? set("nr_hugepages", pages)
        }
        try set("nr_hugepages", 0)
        try set("nr_overcommit_hugepages", try number("surplus_hugepages") + 64)
        try body()
      }
    }

    @Test func `surplus pages are counted and used`() throws {
      try withOvercommit {
        let host = try HoldfastProgram.run("host", "--memory", "128M")
        #expect(host.output.contains("64 can be added"), "\(host)")
        #expect(host.output.contains("128 MiB free in pages of 2 MiB"), "\(host)")
        for arguments in [["--backing", "hugetlb-2M"], []] {
          let wire = try HoldfastProgram(
            ["wire", "--memory", "128M", "--format", "json"] + arguments
          ).wait()
          #expect(wire.status == 0 && wire.output.contains("\"hugetlb-2M\""), "\(wire)")
        }
        let excess = try HoldfastProgram.run(
          "wire", "--memory", "256M", "--backing", "hugetlb-2M")
        excess.expectFailure(1, "0 are free and 64 can be added as surplus")

        let place = try ReservoirPlace(fileSystem: "hugetlbfs", size: 256 << 20)
        try place.get("reservoir", "fill", "1x32M")
        try place.get("reservoir", "fill", "1x32M", "--host-numa-node", "0")
        try place.get("reservoir", "lease", "--size", "64M", "--grow", "--name", "a")
        let more = try place.run(["reservoir", "fill", "1x128M"])
        more.expectFailure(1, "can be added as surplus")
      }
    }
  }
}
