import Foundation
import HoldfastCore
import HoldfastLinux
import HoldfastStatistics
import HoldfastTestKit
import Testing

@testable import HoldfastBench

/// Guests that wait for their memory. The tests judge no times.
struct GuestBenchmarkTests {
  private func benchmark() -> GuestBenchmark {
    GuestBenchmark(memory: smallMemory(.mebibytes(64)), runs: 3)
  }

  @Test(.enabled(if: HostNeeds.kvm, "\(HostNeeds.kvmComment)"))
  func `both paths, three runs, in a machine's slots`() throws {
    var steps: [BenchmarkStep] = []
    let result = try benchmark().run { steps.append($0) }
    #expect(result.machineProblem == nil && result.slots == 1)
    #expect(result.memory == .mebibytes(64) && result.backing == .base && result.runs == 3)
    for measurement in result.measurements {
      #expect(measurement.seconds.count == 3 && measurement.slotSeconds.count == 3)
      #expect((measurement.seconds + measurement.slotSeconds).allSatisfy { $0 > 0 })
    }
    #expect(steps.map(\.number) == Array(0..<9) && steps.allSatisfy { $0.count == 9 })
    #expect(
      steps.map(\.name) == [
        "arena", "prefault", "fault", "fault", "prefault", "prefault", "fault", "fault", "prefault",
      ])
    let text = GuestBenchmarkReport(result).text
    #expect(
      text.hasPrefix(
        "Mapping and wiring a guest of 64 MiB (base), 3 runs after a warm-up\n\nx prefault"))
    #expect(text.contains("\n+ fault (milliseconds)\n") && text.contains("\n(slots) "))
    #expect(text.contains(" in 1 slot.\n") && text.contains("\nfault takes "))
    let json = try object(GuestBenchmarkReport(result))
    #expect(json["memoryBytes"] as? Int == 64 << 20 && json["slots"] as? Int == 1)
    #expect((json["results"] as? [Any])?.count == 2 && json["machineProblem"] is NSNull)
    let first = try #require(result.firstAccesses)
    #expect(first.problem == nil && first.seconds.count == 4, "\(first)")
    #expect(first.seconds.values.allSatisfy { $0.count == 3 && $0.allSatisfy { $0 > 0 } })
    #expect(text.contains("\nhandler threads ") && text.contains("\nprocessors take "))
    let ways = try #require(json["firstAccesses"] as? [[String: Any]])
    #expect(ways.map { $0["path"] as? String } == FirstAccesses.Server.allCases.map(\.rawValue))
    let comparison = try #require(json["comparison"] as? [String: Any])
    let own = try Comparison(
      baseline: SampleSummary(result.measurements[0].seconds),
      candidate: SampleSummary(result.measurements[1].seconds), relativeError: .propagated)
    let difference = try #require(comparison["difference"] as? Double)
    #expect(abs(difference - own.difference) < 1e-9)
    let pooled = try #require(comparison["pooledDeviation"] as? Double)
    #expect(abs(pooled - own.pooledStandardDeviation) < 1e-9)
  }

  @Test func `without a machine the report says why and has the times`() throws {
    var benchmark = benchmark()
    benchmark.device = "/dev/null"
    benchmark.runs = 1
    let result = try benchmark.run()
    #expect(result.slots == 0 && result.measurements.allSatisfy { $0.slotSeconds.isEmpty })
    #expect(result.measurements.allSatisfy { $0.seconds.count == 1 })
    let text = GuestBenchmarkReport(result).text
    #expect(text.contains("ministat needs at least 3 runs."))
    #expect(text.contains("\nwithout a virtual machine: cannot create a virtual machine"))
    #expect(result.firstAccesses == nil && !text.contains("First write"))
    #expect(!text.contains("(slots)") && text.contains("\n(arena) "))
    let json = try object(GuestBenchmarkReport(result))
    #expect(json["machineProblem"] is String && json["comparison"] is [String: Any])
  }

  /// The bound is generous, for busy machines; the figures are for people.
  @Test(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
  func `a guest's faults are served beside a hostile guest`() throws {
    var worst = Double.infinity
    for _ in 0..<3 where worst > 50 {
      let result = try HostileBenchmark(
        backing: .base, faults: 200, threads: 2, host: HostProbe().host()
      ).run()
      #expect(result.measurements.map(\.act) == HostileBenchmark.Act.allCases)
      for one in result.measurements {
        #expect(one.problems == [], "\(one.act)")
        #expect(one.hostileFaults >= 10 && one.quiet > 0)
      }
      worst = result.measurements.map(\.ratio).max() ?? .infinity
      let report = HostileBenchmarkReport(result)
      print(report.text)
      #expect((try object(report)["results"] as? [Any])?.count == 4)
    }
    #expect(worst < 50)
  }
}
