import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

extension FieldTests {
  /// A hugetlb cgroup that leaves less than the pool has.
  ///
  /// One at a time: all take the lock of the huge pages.
  @Suite(
    .serialized,
    .enabled(if: HostNeeds.hugePages(.mebibytes(160)), "\(HostNeeds.hugePagesComment)"),
    .enabled(if: Situation.canMake("--hugetlb-max", "0"), Situation.comment))
  struct HugetlbCgroupTests {
    private static let limit = 32 << 20
    private let words = "the hugetlb cgroup leaves 32 MiB of 32 MiB (/sys/fs/cgroup/"

    /// A limit of the process's cgroup, or of that above it.
    static let places = [
      ["--hugetlb-max", "\(limit)"], ["--hugetlb-max", "\(limit)", "--nested"],
    ]

    /// The same limit, whose files the process does not see, as in a container.
    private static func hidden(_ body: ([String]) throws -> Void) throws {
      let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      try body(["--hugetlb-max", "\(limit)", "--bind", folder.path + "=/sys/fs/cgroup"])
    }

    private func expectLimit(_ outcome: HoldfastProgram.Outcome) {
      outcome.expectFailure(1, words)
      #expect(outcome.error.contains("try: a higher limit: /sys/fs/cgroup/"), "\(outcome)")
      #expect(outcome.error.contains("hugetlb.2MB."), "\(outcome)")
      // No size of the pool helps.
      #expect(!outcome.error.contains("nr_hugepages"), "\(outcome)")
    }

    private func expectHiddenLimit(_ outcome: HoldfastProgram.Outcome) {
      outcome.expectFailure(1, "a limit applies that is not visible here")
      #expect(outcome.error.contains("that of the hugetlb cgroup"), "\(outcome)")
      #expect(!outcome.error.contains("nr_hugepages"), "\(outcome)")
      #expect(!outcome.error.contains("Bad address"), "\(outcome)")
    }

    @Test(arguments: places, [["wire"], ["probe"], ["bench", "wire", "--runs", "1"]])
    func `memory for a guest`(_ place: [String], _ command: [String]) throws {
      try HugePageLock.withLock {
        let memory = ["--memory", "64M", "--backing", "hugetlb-2M"]
        if command != ["probe"] || HostNeeds.kvm {
          expectLimit(try Situation.run(place, command + memory))
        }
        // Another backing does, and the reason is reported.
        guard command == ["wire"] else { return }
        let other = try Situation.run(place, command + ["--memory", "64M"])
        #expect(other.status == 0 && other.output.contains(words), "\(other)")
        #expect(try Situation.run(place, command + ["--memory", "32M"]).status == 0)
      }
    }

    @Test func `a larger pool is not asked for`() throws {
      try HugePageLock.withLock {
        let arguments = ["wire", "--memory", "64M", "--reserve-hugepages"]
        let outcome = try Situation.run(Self.places[0], arguments)
        outcome.expectFailure(1, words)
      }
    }

    @Test(arguments: places)
    func `a fill refuses before it populates, and fills up to the limit`(
      _ place: [String]
    ) throws {
      try HugePageLock.withLock {
        let served = try ReservoirPlace(fileSystem: "hugetlbfs", size: 128 << 20)
        for command in [["fill", "3x16M"], ["fill", "1x64M", "--reserve-hugepages"]] {
          expectLimit(
            try Situation.run(place, served.arguments(["reservoir"] + command)))
          #expect(try served.rows().isEmpty)
        }
        let fill = try Situation.run(place, served.arguments(["reservoir", "fill", "2x16M"]))
        #expect(fill.status == 0, "\(fill)")
      }
    }

    @Test(arguments: places)
    func `a lease that grows leaves no lease`(_ place: [String]) throws {
      try HugePageLock.withLock {
        let served = try ReservoirPlace(fileSystem: "hugetlbfs", size: 128 << 20)
        try served.get("reservoir", "fill", "1x8M")
        let lease = ["reservoir", "lease", "--size", "64M", "--grow", "--name", "a"]
        expectLimit(try Situation.run(place, served.arguments(lease)))
        #expect(try served.rows() == ["8M 1 0 0"])
      }
    }

    @Test func `a scrub of what the monitor has given back names the limit`() throws {
      try HugePageLock.withLock {
        let served = try ReservoirPlace(fileSystem: "hugetlbfs", size: 128 << 20)
        try served.get("reservoir", "fill", "1x64M")
        try served.get("reservoir", "lease", "--size", "64M", "--name", "a")
        let words = ["--punch-hole", "--length", "64M", served.file("leased/\(geteuid())/a")]
        let punch = try HoldfastProgram(words, command: ["fallocate"]).wait()
        try #require(punch.status == 0, "\(punch)")
        let arguments = served.arguments(["reservoir", "recycle", "a", "--reuse", "scrub"])
        let outcome = try Situation.run(Self.places[0], arguments)
        outcome.expectFailure(1, "scrubbing failed: 64 MiB is needed, but the hugetlb cgroup")
        #expect(outcome.error.contains("the memory was returned to the host"), "\(outcome)")
        #expect(try served.rows().isEmpty)
      }
    }

    @Test func `the host shows the limit, and no pool that would be larger`() throws {
      try HugePageLock.withLock {
        let text = try Situation.run(Self.places[0], ["host", "--memory", "64M"])
        #expect(text.status == 0 && text.output.ranges(of: words).count == 2, "\(text)")
        #expect(!text.output.contains("2048kB/nr_hugepages"), "\(text)")
        let json = try Situation.run(Self.places[1], ["host", "--format", "json"])
        let value = try JSONSerialization.jsonObject(with: Data(json.output.utf8))
        let host = (value as? [String: Any])?["host"] as? [String: Any]
        let pools = try #require(host?["hugePages"] as? [[String: Any]])
        let pool = try #require(pools.first { $0["size"] as? Int == 2 << 20 })
        let limit = try #require(pool["cgroup"] as? [String: Any])
        #expect(limit["limit"] as? Int == Self.limit && limit["remaining"] as? Int == Self.limit)
        #expect((limit["file"] as? String)?.hasPrefix("/sys/fs/cgroup/") == true)
      }
    }

    @Test func `a limit that the process does not see is explained`() throws {
      try HugePageLock.withLock {
        let served = try ReservoirPlace(fileSystem: "hugetlbfs", size: 128 << 20)
        try served.get("reservoir", "fill", "1x8M")
        try Self.hidden { place in
          for command in [["fill", "1x64M"], ["lease", "--size", "64M", "--grow"]] {
            expectHiddenLimit(
              try Situation.run(place, served.arguments(["reservoir"] + command)))
            #expect(try served.rows() == ["8M 1 0 0"])
          }
          expectHiddenLimit(
            try Situation.run(place, ["wire", "--memory", "64M", "--backing", "hugetlb-2M"]))
        }
      }
    }

    @Test func `the service waits, and populates nothing meanwhile`() throws {
      try HugePageLock.withLock {
        let served = try ServedPlace(fileSystem: "hugetlbfs", size: 128 << 20)
        try served.configure("[level]\nfiles = 3x16M")
        try served.start(command: Situation.command(Self.places[1]) + [HoldfastProgram.path])
        try served.until("two files and the limit") {
          served.ready == ["16M", "16M"] && served.log.contains("the hugetlb cgroup leaves 0 bytes")
        }
        for _ in 0..<50 {
          #expect(served.place.names("filling").isEmpty)
          usleep(20_000)
        }
        #expect(served.ready == ["16M", "16M"] && !served.log.contains("Bad address"))
        // A failure is logged once, however often it is met.
        try served.send(SIGTERM)
        let log = try served.end().error
        #expect(log.ranges(of: "the hugetlb cgroup leaves").count == 1, "\(log)")
      }
    }
  }
}
