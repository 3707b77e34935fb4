import Foundation
import Glibc
import HoldfastCore
import Testing

@testable import HoldfastBench

struct QEMUBenchmarkReportTests {
  private func report(
    _ seconds: [QEMUBenchmark.Part: [Double]], faults: [QEMUBenchmark.Part: [Int64]] = [:]
  ) -> QEMUBenchmarkReport {
    QEMUBenchmarkReport(
      QEMUBenchmark.Result(
        memory: .gibibytes(10), pageSize: .mebibytes(2), runs: seconds[.leased]?.count ?? 0,
        threads: 2, version: "QEMU emulator version 7.2.22", accelerator: "tcg", seconds: seconds,
        minorFaults: faults))
  }

  private var three: QEMUBenchmarkReport {
    report(
      [
        .prealloc: [1.0, 1.2, 1.1], .leased: [0.04, 0.05, 0.06], .lease: [0.0001, 0.0001, 0.0002],
        .touch: [0.01, 0.03, 0.02], .recycle: [0.15, 0.16, 0.17], .fill: [0.7, 0.6, 0.8],
      ],
      faults: [
        .prealloc: [8000, 9000, 8100], .leased: [3000, 3001, 2999], .touch: [5120, 5120, 5120],
      ])
  }

  @Test func `the text has ministat's box, every part and both ratios`() throws {
    let parts = three.text.split(separator: "\n\n").map(String.init)
    try #require(parts.count == 4, "\(three.text)")
    #expect(
      parts[0].hasPrefix("QEMU with 10 GiB from start to quit, 3 runs after a warm-up, 2 threads"))
    #expect(parts[1].hasPrefix("x prealloc (milliseconds)\n+ leased (milliseconds)\n"))
    #expect(parts[1].contains("Difference at 95.0% confidence"))
    let rows = parts[2].split(separator: "\n").map {
      $0.split(separator: " ").prefix(4).map(String.init)
    }
    #expect(
      rows == [
        ["median", "faults"], ["prealloc", "1.10", "s", "8100"], ["leased", "50.0", "ms", "3000"],
        ["lease", "100", "us", "-"], ["touch", "20.0", "ms", "5120"],
        ["recycle", "160", "ms", "-"], ["fill", "700", "ms", "-"],
      ])
    // The ratios of the runs: 25, 24, 18.33; with touching 20, 15, 13.75.
    #expect(
      parts[3] == """
        leased takes 24.0 times less time than prealloc (18.3 to 25.0)
        leased and touch take 15.0 times less time than prealloc (13.8 to 20.0)
        leased and recycle take 5.26 times less time than prealloc (4.78 to 5.71)

        """)
    #expect(!three.text.contains(" \n"))
  }

  @Test func `the JSON has the documented keys`() throws {
    let object = try HoldfastBenchTests.object(three)
    #expect(object["memoryBytes"] as? Int == 10 << 30 && object["pageBytes"] as? Int == 2 << 20)
    #expect(object["runs"] as? Int == 3 && object["threads"] as? Int == 2)
    #expect(object["qemu"] as? String == "QEMU emulator version 7.2.22")
    #expect(abs((object["speedup"] as? Double ?? 0) - 24) < 1e-9)
    let results = try #require(object["results"] as? [[String: Any]])
    #expect(
      results.map { $0["part"] as? String }
        == ["prealloc", "leased", "lease", "touch", "recycle", "fill"])
    #expect(results[3]["minorFaults"] as? [Int] == [5120, 5120, 5120])
    #expect(results[2]["minorFaults"] is NSNull)
    #expect(abs((object["speedupWithTouching"] as? Double ?? 0) - 15) < 1e-9)
    #expect(results[1]["seconds"] as? [Double] == [0.04, 0.05, 0.06])
    let comparison = try #require(object["comparison"] as? [String: Any])
    #expect(abs((comparison["difference"] as? Double ?? 0) + 1.05) < 1e-9)
    #expect(comparison["baseline"] as? String == "prealloc")
    // The keys are those of a report of nothing.
    let none = try HoldfastBenchTests.object(report([:]))
    #expect(Set(none.keys) == Set(object.keys) && none["speedup"] is NSNull)
    let other = try #require(none["results"] as? [[String: Any]])
    #expect(zip(results, other).allSatisfy { Set($0.keys) == Set($1.keys) })
  }

  @Test func `touching a resident file takes page faults`() throws {
    let size = 64 << 12
    let path = NSTemporaryDirectory() + "holdfast-\(UUID())"
    defer { unlink(path) }
    let file = open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
    try #require(file >= 0 && ftruncate(file, off_t(size)) == 0)
    defer { close(file) }
    let touched = try ResidentFile.touch(file, length: UInt64(size), pageSize: 4096)
    #expect(touched.seconds > 0 && (1...128).contains(touched.faults), "\(touched)")
    #expect(throws: (any Error).self) {
      try ResidentFile.touch(-1, length: 4096, pageSize: 4096)
    }
  }

  @Test func `the text says that there are too few runs`() throws {
    let report = report([.prealloc: [1], .leased: [0.1], .touch: [0.3], .recycle: [0.1]])
    #expect(report.comparison == nil && report.text.contains("ministat needs at least 3 runs."))
    #expect(
      report.text.hasSuffix(
        """
        leased takes 10.0 times less time than prealloc
        leased and touch take 2.50 times less time than prealloc
        leased and recycle take 5.00 times less time than prealloc

        """))
  }

  @Test func `a slower start is so many times as long`() {
    let text = report([.prealloc: [1], .leased: [2], .touch: [0], .recycle: [2]]).text
    #expect(text.contains("\nleased takes 2.00 times as long as prealloc\n"))
    #expect(text.hasSuffix("\nleased and recycle take 4.00 times as long as prealloc\n"))
  }

  @Test func `a missing program is an error with advice`() {
    let benchmark = QEMUBenchmark(
      memory: .mebibytes(64), runs: 1, threads: 1, program: "/nonexistent/qemu")
    let problem = #expect(throws: HoldfastError.self) { try benchmark.version() }
    #expect(
      problem?.description.contains("cannot run /nonexistent/qemu: it cannot be started") == true
        && problem?.errno == 2 && problem?.advice != nil)
  }
}
