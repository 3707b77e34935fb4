import Foundation
import HoldfastCore
import Testing

@testable import HoldfastBench

@Suite struct QEMUBenchmarkReportTests {
  private func report(_ seconds: [QEMUBenchmark.Part: [Double]]) -> QEMUBenchmarkReport {
    QEMUBenchmarkReport(
      QEMUBenchmark.Result(
        memory: .gibibytes(10), pageSize: .mebibytes(2), runs: seconds[.leased]?.count ?? 0,
        threads: 2, version: "QEMU emulator version 7.2.22", accelerator: "tcg", seconds: seconds))
  }

  private var three: QEMUBenchmarkReport {
    report([
      .prealloc: [1.0, 1.2, 1.1], .leased: [0.04, 0.05, 0.06], .lease: [0.0001, 0.0001, 0.0002],
      .recycle: [0.15, 0.16, 0.17], .fill: [0.7, 0.6, 0.8],
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
      $0.split(separator: " ").prefix(3).map(String.init)
    }
    #expect(
      rows == [
        ["median"], ["prealloc", "1.10", "s"], ["leased", "50.0", "ms"], ["lease", "100", "us"],
        ["recycle", "160", "ms"], ["fill", "700", "ms"],
      ])
    #expect(
      parts[3]
        == "leased takes 24.0 times less time than prealloc, 5.26 times with the recycling\n")
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
      results.map { $0["part"] as? String } == ["prealloc", "leased", "lease", "recycle", "fill"])
    #expect(results[1]["seconds"] as? [Double] == [0.04, 0.05, 0.06])
    let comparison = try #require(object["comparison"] as? [String: Any])
    #expect(abs((comparison["difference"] as? Double ?? 0) + 1.05) < 1e-9)
  }

  @Test func `the text says that there are too few runs`() throws {
    let report = report([.prealloc: [1], .leased: [0.1], .recycle: [0.1]])
    #expect(report.comparison == nil && report.text.contains("ministat needs at least 3 runs."))
    #expect(report.text.contains("leased takes 10.0 times less time than prealloc, 5.00 times"))
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
