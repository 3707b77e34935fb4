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

    /// The surplus pages that the pool may still get.
    private func room() throws -> Int {
      try number("nr_overcommit_hugepages") - number("surplus_hugepages")
    }

    /// Calls the body with a pool that has no free page and may get 64 surplus ones, until other
    /// processes have not changed the pool meanwhile, at most four times.
    private func withOvercommit<Result>(_ body: () throws -> Result) throws -> Result {
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
        for _ in 0..<3 {
          try set("nr_overcommit_hugepages", try number("surplus_hugepages") + 64)
          let result = try body()
          if try room() == 64 { return result }
        }
        try set("nr_overcommit_hugepages", try number("surplus_hugepages") + 64)
        return try body()
      }
    }

    @Test func `the host counts surplus pages`() throws {
      let host = try withOvercommit { try HoldfastProgram.run("host", "--memory", "128M") }
      #expect(host.output.contains("64 can be added"), "\(host)")
      #expect(host.output.contains("128 MiB free in pages of 2 MiB, with surplus pages"), "\(host)")
    }

    @Test func `a guest gets surplus pages`() throws {
      for arguments in [["--backing", "hugetlb-2M"], []] {
        let wire = try withOvercommit {
          try HoldfastProgram(
            ["wire", "--memory", "128M", "--format", "json"] + arguments
          ).wait()
        }
        #expect(wire.status == 0 && wire.output.contains("\"hugetlb-2M\""), "\(wire)")
      }
      let excess = try withOvercommit {
        try HoldfastProgram.run("wire", "--memory", "256M", "--backing", "hugetlb-2M")
      }
      excess.expectFailure(1, "0 are free and 64 can be added as surplus")
    }

    @Test func `a reservoir is filled with surplus pages, and a lease grows by them`() throws {
      let commands = [
        ["fill", "1x32M"], ["fill", "1x32M", "--host-numa-node", "0"],
        ["lease", "--size", "64M", "--grow", "--name", "a"], ["fill", "1x128M"],
      ]
      let outcomes = try withOvercommit {
        let place = try ReservoirPlace(fileSystem: "hugetlbfs", size: 256 << 20)
        return try commands.map { try place.run(["reservoir"] + $0) }
      }
      for outcome in outcomes.dropLast() { #expect(outcome.status == 0, "\(outcome)") }
      outcomes.last?.expectFailure(1, "can be added as surplus")
    }
  }
}
