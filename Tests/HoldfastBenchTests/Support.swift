import Foundation
import Holdfast
import HoldfastCore
import HoldfastLinux
import Testing

@testable import HoldfastBench

/// A made-up result of 4 MiB on base pages.
func madeUpResult(
  _ seconds: [(WireStrategy, [Double])], problems: [WireStrategy: String] = [:],
  fallbacks: [String] = [], backing: Backing = .base, placement: GuestPlacement = .window
) -> WireBenchmark.Result {
  let measured = seconds.map { WireBenchmark.Measurement(strategy: $0, seconds: $1) }
  let failed = problems.map { WireBenchmark.Measurement(strategy: $0, problem: $1) }
  let runs = seconds.map(\.1.count).max() ?? 0
  return WireBenchmark.Result(
    memory: .mebibytes(4), runs: runs, threads: 2, backing: backing,
    arenaSeconds: (0..<runs).map { 0.25 + Double($0) / 8 }, measurements: measured + failed,
    fallbacks: fallbacks, placement: placement)
}

/// Memory of base pages for a small benchmark.
func smallMemory(_ size: ByteCount) -> BenchmarkMemory {
  BenchmarkMemory(size: size, backing: .base, threads: 2, host: HostProbe().host())
}

/// The JSON object of a report, parsed.
func object(_ report: some Encodable) throws -> [String: Any] {
  let value = try JSONSerialization.jsonObject(with: JSONEncoder().encode(report))
  return try #require(value as? [String: Any])
}
