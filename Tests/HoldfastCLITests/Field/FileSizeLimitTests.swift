import Foundation
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

extension FieldTests {
  /// RLIMIT_FSIZE, which also limits files in memory: the kernel sends SIGXFSZ besides the error.
  @Suite(.enabled(if: HostNeeds.python, Situation.comment))
  struct FileSizeLimitTests {
    private let place = ["--limit", "fsize=\(1 << 20)"]

    private func expectLimit(_ outcome: HoldfastProgram.Outcome) {
      outcome.expectFailure(1, "RLIMIT_FSIZE limits the size of a file to 1 MiB")
      #expect(
        outcome.error.contains("try: a higher limit: RLIMIT_FSIZE (ulimit -f unlimited)"),
        "\(outcome)")
    }

    @Test(arguments: [["wire"], ["bench", "wire", "--runs", "1"]])
    func `memory for a guest`(_ command: [String]) throws {
      expectLimit(
        try Situation.run(place, command + ["--memory", "16M", "--backing", "base"]))
      // Private memory has no file.
      guard command == ["wire"], HostNeeds.sharedHugePages else { return }
      let other = try Situation.run(place, command + ["--memory", "16M"])
      #expect(other.status == 0, "\(other)")
    }

    @Test(.enabled(if: HostNeeds.canReserve, "needs root and a writable nr_hugepages"))
    func `the pool is lowered again`() throws {
      let pool = HugePagePool(size: .mebibytes(2))
      try HugePageLock.withLock {
        // Other processes may change the pool at the same time.
        for attempt in 0..<4 {
          let before = try #require(try pool.counts().total).rawValue
          let memory = "\((try pool.available.rawValue + 16) * 2)M"
          expectLimit(
            try Situation.run(place, ["wire", "--memory", memory, "--reserve-hugepages"]))
          let after = try #require(try pool.counts().total).rawValue
          if after == before { return }
          #expect(attempt < 3, "the pool has \(after) pages instead of \(before)")
        }
      }
    }

    @Test func `a fill leaves nothing, and a lease that grows no lease`() throws {
      let served = try ReservoirPlace()
      expectLimit(try Situation.run(place, served.arguments(["reservoir", "fill", "1x4M"])))
      // Also if some of the files would be small enough.
      expectLimit(
        try Situation.run(place, served.arguments(["reservoir", "fill", "1x1M", "1x4M"])))
      #expect(try served.rows().isEmpty && served.names("filling").isEmpty)
      try served.get("reservoir", "fill", "1x1M")
      let lease = ["reservoir", "lease", "--size", "4M", "--grow", "--name", "a"]
      expectLimit(try Situation.run(place, served.arguments(lease)))
      #expect(try served.rows() == ["1M 1 0 0"])
    }

    @Test func `output and plots name the limit`() throws {
      let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let output = folder.appending(path: "output")
      try Data(count: 1 << 20).write(to: output)
      expectLimit(
        try Situation.run(place, ["--version"], output: .file(output.path, O_WRONLY | O_APPEND)))
      let plot = folder.appending(path: "plot.svg").path
      let arguments = [
        "simulate", "--memory", "1G", "--guests", "10", "--duration", "1m", "--plot", plot,
      ]
      let simulate = try Situation.run(
        ["--limit", "fsize=4096"], arguments, output: .file("/dev/null", O_WRONLY))
      simulate.expectFailure(1, "RLIMIT_FSIZE limits the size of a file to 4 KiB")
      let size = try FileManager.default.attributesOfItem(atPath: plot)[.size] as? Int
      #expect(size == 0, "the beginning of a plot is left")
    }

    @Test func `a monitor gets the signal`() throws {
      let served = try ReservoirPlace()
      try served.get("reservoir", "fill", "1x1M")
      let arguments = served.arguments([
        "run", "--memory", "1M", "--", "sh", "-c", "head -c 2000000 /dev/zero > \(served.path)/x",
        "{memory}",
      ])
      let outcome = try Situation.run(place, arguments)
      // head(1) ends by SIGXFSZ.
      #expect(outcome.status == 128 + SIGXFSZ, "\(outcome)")
    }

    @Test(.enabled(if: HostNeeds.isRoot, "needs root, to mount a hugetlbfs"))
    func `a program that a benchmark starts gets the signal`() throws {
      let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let (script, found) = (folder.appending(path: "qemu"), folder.appending(path: "signals"))
      try ScriptFile.write(
        "#!/bin/sh\ngrep SigIgn /proc/self/status > \(found.path)\nexit 1\n", to: script.path)
      let outcome = try HoldfastProgram.run("bench", "qemu", "--qemu", script.path)
      #expect(outcome.status == 1, "\(outcome)")
      let text = try String(contentsOf: found, encoding: .utf8)
      let mask = try #require(
        UInt64(text.dropFirst("SigIgn:".count).filter(\.isHexDigit), radix: 16), "\(text)")
      #expect(mask & (1 << UInt64(SIGXFSZ - 1)) == 0, "\(text)")
    }
  }
}
