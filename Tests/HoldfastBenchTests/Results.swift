import Foundation
import HoldfastCore
import HoldfastLinux
import Testing

@testable import HoldfastBench

/// A result of 4 MiB on base pages, made up.
func madeUpResult(
  _ seconds: [(WireStrategy, [Double])], problems: [WireStrategy: String] = [:],
  fallbacks: [String] = []
) -> WireBenchmark.Result {
  let measured = seconds.map { WireBenchmark.Measurement(strategy: $0, seconds: $1) }
  let failed = problems.map { WireBenchmark.Measurement(strategy: $0, problem: $1) }
  let runs = seconds.map(\.1.count).max() ?? 0
  return WireBenchmark.Result(
    memory: .mebibytes(4), runs: runs, threads: 2, backing: .base,
    arenaSeconds: (0..<runs).map { 0.25 + Double($0) / 8 }, measurements: measured + failed,
    fallbacks: fallbacks)
}

/// A report's JSON as others read it.
func object(_ report: WireBenchmarkReport) throws -> [String: Any] {
  let value = try JSONSerialization.jsonObject(with: JSONEncoder().encode(report))
  return try #require(value as? [String: Any])
}
