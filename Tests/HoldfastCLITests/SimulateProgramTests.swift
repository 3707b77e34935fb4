import Foundation
import FoundationXML
import Testing

/// `holdfast simulate`, run as a user runs it.
struct SimulateProgramTests {
  private let small = [
    "simulate", "--memory", "8G", "--guests", "20", "--duration", "6h", "--lifetime", "1h",
    "--forks", "20", "--paged", "20%", "--dirty", "1",
  ]

  private func withFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder)
  }

  private func json(_ arguments: [String]) throws -> [String: Any] {
    let outcome = try HoldfastProgram(arguments + ["--format", "json"]).wait()
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    let value = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
    return try #require(value as? [String: Any])
  }

  @Test func theSameSeedGivesTheSameFigures() throws {
    func figures(_ seed: String) throws -> NSDictionary {
      var report = try json(small + ["--seed", seed])
      #expect(report.removeValue(forKey: "times") is [String: Any])
      return report as NSDictionary
    }
    let first = try figures("5")
    #expect(try first == figures("5"))
    #expect(try first["digest"] as? String != figures("6")["digest"] as? String)
  }

  @Test func theRunAsJSON() throws {
    let report = try json(small + ["--arrivals", "bursts", "--scrub-rate", "500M"])
    #expect(
      Set(report.keys) == [
        "options", "simulatedSeconds", "guests", "wires", "faults", "shortages", "memory",
        "fragmentation", "reservations", "gibBlocks", "blockComparison", "metadata", "digest",
        "samples", "times",
      ])
    let options = try #require(report["options"] as? [String: Any])
    #expect(options["memoryBytes"] as? Int == 8 << 30 && options["guests"] as? Int == 20)
    #expect(options["arrivals"] as? String == "bursts" && options["trace"] is NSNull)
    #expect(options["lifetimeSeconds"] as? Int == 3600 && options["seed"] as? Int == 1)
    #expect(options["forkShare"] as? Double == 0.2 && options["dirtyShare"] as? Double == 0.01)
    #expect(options["scrubBytesPerSecond"] as? Int == 500 << 20)
    #expect(report["simulatedSeconds"] as? Int == 21_600)

    let guests = try #require(report["guests"] as? [String: Int])
    #expect(
      Set(guests.keys) == [
        "arrived", "wired", "paged", "forked", "refused", "refusedBytes", "mostAtOnce",
      ])
    let wires = try #require(report["wires"] as? [String: Any])
    #expect(wires["count"] as? Int == guests["wired"])
    let sizes = try #require(wires["bytesByPageSize"] as? [String: Int])
    #expect(Set(sizes.keys) == ["4096", "2097152", "1073741824"])
    #expect(sizes.values.reduce(0, +) == wires["bytes"] as? Int)
    #expect(wires["superpageShare"] is Double && wires["zeroedShare"] is Double)
    let memory = try #require(report["memory"] as? [String: Int])
    #expect(memory["freeAtEndBytes"] == 8 << 30)
    #expect((memory["mostUsedBytes"] ?? 0) >= (memory["meanUsedBytes"] ?? .max))
    for size in ["below2MiB", "below1GiB"] {
      let summary = (report["fragmentation"] as? [String: [String: Double]])?[size]
      #expect(summary.map { Set($0.keys) } == ["mean", "most", "last"])
    }
    let reservations = try #require(report["reservations"] as? [String: Int])
    #expect(reservations["made"]! > 0)
    #expect(
      ["filled", "broken", "emptied"].reduce(0) { $0 + reservations[$1]! } == reservations["made"])
    let metadata = try #require(report["metadata"] as? [String: Double])
    #expect(Set(metadata.keys) == ["bytes", "share", "allocatorBytes", "objectBytes", "mapBytes"])
    let share = (metadata["bytes"] ?? 0) / Double(8 << 30)
    #expect(((metadata["share"] ?? 0) - share).magnitude < 1e-9)
    let samples = try #require(report["samples"] as? [[String: Any]])
    #expect(samples.count == 241 && samples.last?["seconds"] as? Double == 21_600)
    let times = try #require(report["times"] as? [String: [String: Double]])
    #expect(Set(times.keys) == ["wire", "unwire", "fork", "fault", "free"])
    #expect(times["wire"]?["count"] == wires["count"] as? Double)
    #expect(
      times["wire"].map { Set($0.keys) } == ["count", "total", "mean", "median", "p99", "longest"])
  }

  @Test func theRunAsText() throws {
    let outcome = try HoldfastProgram(small).wait()
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    #expect(
      outcome.output.hasPrefix(
        "8 GiB of memory, 20 guests at once, steady arrivals, 6.0 hours simulated (seed 1)\n\n"))
    for label in [
      "guests", "refused", "wired", "faults", "scrubbed", "used", "reserved", "metadata",
      "free memory in blocks", "below 2 MiB", "below 1 GiB", "operation", "wire", "fork", "fault",
      "free",
    ] {
      #expect(outcome.output.contains("\n\(label) "), "\(label): \(outcome.output)")
    }
    #expect(outcome.output.hasSuffix("\nAfter all guests had left, every frame was free.\n"))
  }

  @Test func aHostOf16TiB() throws {
    let report = try json([
      "simulate", "--memory", "16T", "--guests", "1000", "--duration", "10m", "--dirty", "0.001",
    ])
    #expect((report["guests"] as? [String: Int])?["arrived"] ?? 0 >= 1000)
    #expect((report["metadata"] as? [String: Double])?["share"] ?? 1 < 0.001)
    #expect((report["memory"] as? [String: Int])?["freeAtEndBytes"] == 16 << 40)
  }

  @Test func aTraceAndAPlot() throws {
    try withFolder { folder in
      let trace = folder.appending(path: "vmtable.csv").path
      let lines = (0..<200).map { number in
        "vm\(number),s,d,\(number * 300),\(number * 300 + 6000),50,10,40,Unknown,2,"
          + (number % 50 == 0 ? ">64" : "\(1 + number % 4)")
      }
      try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(filePath: trace))
      let plot = folder.appending(path: "plot.svg")
      try Data("old".utf8).write(to: plot)
      let report = try json([
        "simulate", "--memory", "128G", "--trace", trace, "--plot", plot.path, "--dirty", "0.01",
      ])
      let options = try #require(report["options"] as? [String: Any])
      #expect(options["arrivals"] as? String == "trace" && options["trace"] as? String == trace)
      #expect(options["guests"] is NSNull && options["sizes"] is NSNull)
      #expect((report["guests"] as? [String: Int])?["arrived"] == 200)
      #expect(report["simulatedSeconds"] as? Int == 199 * 300 + 6000)
      #expect(XMLParser(data: try Data(contentsOf: plot)).parse())

      // The same from a pipe of unknown length, sampled and shortened.
      let script = #"cat "$1" | "$0" simulate -m 128G --trace /dev/stdin --guests 5 --duration 5h"#
      let outcome = try HoldfastProgram(
        [], command: ["/bin/sh", "-c", script, HoldfastProgram.path, trace]
      ).wait()
      #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
      #expect(
        outcome.output.hasPrefix(
          "128 GiB of memory, 5 guests at once, the trace /dev/stdin, 5.0 hours simulated (seed 1)")
      )
    }
  }

  @Test func unusableFiles() throws {
    try withFolder { folder in
      let trace = folder.appending(path: "bad.csv").path
      let good = "a,b,c,0,300,1,1,1,Unknown,2,4\n"
      try Data((good + good + "a,b,c,0,300,1,1,1,Unknown,2,many\n").utf8)
        .write(to: URL(filePath: trace))
      try HoldfastProgram(["simulate", "--trace", trace]).wait()
        .expectFailure(
          1, "bad.csv: line 3: column 11 (vmmemorybucket): 'many' is not a number of GB")
      let missing = folder.appending(path: "none.csv").path
      try HoldfastProgram(["simulate", "--trace", missing]).wait()
        .expectFailure(1, "none.csv: No such file or directory")
      try HoldfastProgram(["simulate", "--trace", folder.path]).wait()
        .expectFailure(1, "Is a directory")
      try HoldfastProgram(["simulate", "--trace", "/dev/null"]).wait()
        .expectFailure(1, "/dev/null: line 1: the trace has no guest")
      for plot in [folder.path, folder.path + "/none/plot.svg", ""] {
        // Reported before the run, which would take minutes.
        try HoldfastProgram(["simulate", "--duration", "300d", "--plot", plot]).wait()
          .expectFailure(1, "cannot write the plot")
      }
      try HoldfastProgram(small + ["--plot", "/dev/full"]).wait()
        .expectFailure(1, "cannot write the plot /dev/full: No space left on device")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["bad.csv"])
    }
  }

  @Test func aSignalEndsTheProgram() throws {
    let script = #""$0" simulate --duration 300d & pid=$!; sleep 1; kill -INT $pid; wait $pid"#
    let outcome = try HoldfastProgram(
      [], command: ["/bin/bash", "-c", "set -m; " + script, HoldfastProgram.path]
    ).wait()
    #expect(outcome.status == 130 && outcome.output.isEmpty, "\(outcome)")
  }
}
