import Foundation
import HoldfastTestKit
import Testing

extension FieldTests {
  /// A memory cgroup that leaves less than the host has. The kernel kills a process that exceeds
  /// its limit, so a shortage must be found before.
  @Suite(.enabled(if: Situation.canMake("--memory-max", "134217728"), Situation.comment))
  struct MemoryCgroupTests {
    static let places = [
      ["--memory-max", "\(128 << 20)"], ["--memory-max", "\(128 << 20)", "--nested"],
    ]

    private func expectLimit(_ outcome: HoldfastProgram.Outcome) {
      outcome.expectFailure(1, "the memory cgroup leaves 12")
      #expect(outcome.error.contains("MiB of 128 MiB (/sys/fs/cgroup/"), "\(outcome)")
      #expect(outcome.error.contains("try: a higher limit: /sys/fs/cgroup/"), "\(outcome)")
    }

    @Test(arguments: places)
    func `a lease that grows is refused, and leaves no lease`(_ place: [String]) throws {
      let served = try ReservoirPlace(fileSystem: "tmpfs", size: 1 << 30)
      try served.get("reservoir", "fill", "1x8M")
      let lease = ["reservoir", "lease", "--size", "256M", "--grow", "--name", "a"]
      expectLimit(try Situation.run(place, served.arguments(lease)))
      #expect(try served.rows() == ["8M 1 0 0"])
      // What fits is leased.
      let small = ["reservoir", "lease", "--size", "64M", "--grow", "--name", "b"]
      let outcome = try Situation.run(place, served.arguments(small))
      #expect(outcome.status == 0, "\(outcome)")
    }

    @Test(.enabled(if: HostNeeds.isRoot, "needs root"))
    func `a cgroup namespace does not hide the limit`() throws {
      let wire = [HoldfastProgram.path, "wire", "--memory", "256M", "--backing", "base"]
      for place in Self.places {
        expectLimit(
          try Situation.run(place, ["--cgroup"] + wire, program: "unshare"))
      }
    }

    @Test func `a lease whose process the kernel kills leaves no lease`() throws {
      let served = try ReservoirPlace(fileSystem: "tmpfs", size: 1 << 30)
      try served.get("reservoir", "fill", "1x8M")
      let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      // The process does not see the files of its cgroup.
      let place = Self.places[0] + ["--bind", folder.path + "=/sys/fs/cgroup"]
      let lease = ["reservoir", "lease", "--size", "256M", "--grow", "--name", "a"]
      let outcome = try Situation.run(place, served.arguments(lease))
      #expect(outcome.signal == SIGKILL, "\(outcome)")
      #expect(served.names("leased/0").isEmpty && served.names("ready").isEmpty)
      try served.get("reservoir", "gc")
      #expect(try served.rows().isEmpty)
    }

    @Test(arguments: places)
    func `a fill is refused before it populates`(_ place: [String]) throws {
      let served = try ReservoirPlace(fileSystem: "tmpfs", size: 1 << 30)
      // The last of these leaves no room for the page tables.
      for size in ["2x96M", "1x512M", "1x126M"] {
        expectLimit(
          try Situation.run(place, served.arguments(["reservoir", "fill", size])))
        #expect(try served.rows().isEmpty)
      }
    }

    @Test(arguments: places)
    func `memory for a guest is refused`(_ place: [String]) throws {
      expectLimit(
        try Situation.run(place, ["wire", "--memory", "256M", "--backing", "base"]))
    }

    @Test func `the host shows the limit`() throws {
      let outcome = try Situation.run(Self.places[1], ["host", "--memory", "256M"])
      #expect(outcome.output.contains("MiB left of 128 MiB (/sys/fs/cgroup/"), "\(outcome)")
    }

    @Test func `the service waits`() throws {
      let served = try ServedPlace(fileSystem: "tmpfs", size: 1 << 30)
      try served.configure("[level]\nfiles = 3x48M")
      try served.start(command: Situation.command(Self.places[0]) + [HoldfastProgram.path])
      try served.until("one file or two, and the limit") {
        !served.ready.isEmpty && served.log.contains("the memory cgroup leaves")
      }
      usleep(500_000)
      #expect(served.place.names("filling").isEmpty && served.ready.count < 3)
      try served.send(SIGTERM)
      let log = try served.end().error
      #expect(log.ranges(of: "the memory cgroup leaves").count == 1, "\(log)")
    }
  }
}
