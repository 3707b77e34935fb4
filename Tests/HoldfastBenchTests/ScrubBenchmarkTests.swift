import Foundation
import HoldfastCore
import HoldfastLinux
import Testing

@testable import HoldfastBench

/// A small run of real memory. The tests judge no times.
struct ScrubBenchmarkTests {
  @Test func `the second guest finds all of its memory zeroed`() throws {
    var steps: [ScrubBenchmark.Step] = []
    let size = ByteCount.mebibytes(16)
    let result = try ScrubBenchmark(
      memory: smallMemory(size), scrubbing: Scrubber.Options(threads: 2)
    ).run { steps.append($0) }
    #expect(steps == ScrubBenchmark.Step.allCases)
    #expect(result.first.zeroedAhead == size && result.first.zeroedNow == .zero)
    #expect(result.second.zeroedAhead == size && result.second.zeroedNow == .zero)
    #expect(result.isZero && result.statistics.scrubbed == size)

    let text = ScrubBenchmarkReport(result).text
    #expect(
      text.hasPrefix(
        "Wiring 16 MiB (base) before and after a guest wrote to all of it, scrubbed by 2"))
    #expect(text.contains("\nwire 2    ") && text.contains(", 16 MiB zeroed ahead, 0 now\n"))
    #expect(text.contains("\ncontents  all zero\n"))
    let report = try object(ScrubBenchmarkReport(result))
    #expect(
      Set(report.keys) == [
        "memoryBytes", "backing", "threads", "arenaSeconds", "firstWire", "dirtySeconds", "scrub",
        "secondWire", "isZero", "fallbacks",
      ])
    let second = try #require(report["secondWire"] as? [String: Any])
    #expect(second["zeroedAheadBytes"] as? Int == 16 << 20)
    #expect(second["zeroedNowBytes"] as? Int == 0 && second["seconds"] is Double)
    let scrub = try #require(report["scrub"] as? [String: Any])
    #expect(scrub["scrubbedBytes"] as? Int == 16 << 20 && scrub["threads"] as? Int == 2)
    #expect(scrub["bytesPerSecond"] is Double && scrub["priority"] is String)
  }

  @Test func `an arena that the host cannot provide is an error`() {
    #expect(throws: (any Error).self) {
      try ScrubBenchmark(
        memory: smallMemory(.tebibytes(1 << 10)), scrubbing: Scrubber.Options()
      ).run()
    }
  }
}
