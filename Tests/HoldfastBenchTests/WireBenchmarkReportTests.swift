import Foundation
import Holdfast
import HoldfastCore
import HoldfastStatistics
import Testing

@testable import HoldfastBench

struct WireBenchmarkReportTests {
  private let result = madeUpResult(
    [
      (.fault, [0.41, 0.40, 0.42]), (.prefault, [0.0040, 0.0041, 0.0042]),
      (.continueAll, [0.002, 0.002, 0.002]),
    ],
    problems: [.mlock: "Cannot allocate memory"], fallbacks: ["thp: shmem_enabled is never"])

  @Test func `the text has ministat's box, the table, the ratios and the notes`() throws {
    let text = WireBenchmarkReport(result).text
    let parts = text.split(separator: "\n\n").map(String.init)
    try #require(parts.count == 5, "\(text)")
    #expect(parts[0] == "Wiring 4 MiB (base), 3 runs after a warm-up, 2 threads")
    let ministat = parts[1].split(separator: "\n").map(String.init)
    #expect(ministat[0] == "x prefault (milliseconds)" && ministat[1] == "+ fault (milliseconds)")
    let edge = "+" + String(repeating: "-", count: ministat[2].count - 2) + "+"
    #expect(ministat.filter { $0 == edge }.count == 2 && edge.count > 60)
    #expect(ministat.contains { $0.hasPrefix("x   3             4           4.2           4.1") })
    #expect(ministat.contains("Difference at 95.0% confidence"))
    #expect(parts[1].contains("\t405.9 +/- "))
    let table = parts[2].split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    #expect(table[0] == ["strategy", "median", "per", "2", "MiB", "GiB/s", "floor", "x", "floor"])
    // 4 MiB are two pages of 2 MiB and 1/256 GiB.
    #expect(table[1] == ["fault", "410", "ms", "205", "ms", "0.01", "-", "-"])
    #expect(
      table[2] == ["prefault", "4.10", "ms", "2.05", "ms", "0.95", "uffd-continue-all", "2.05"])
    #expect(
      table[3] == ["uffd-continue-all", "2.00", "ms", "1.00", "ms", "1.95", "-", "-"])
    #expect(table[4] == ["(arena)", "375", "ms", "188", "ms", "0.01", "-", "-"])
    #expect(table.count == 7)
    // Of the runs' ratios 102.5, 97.6 and 100, and 2, 2.05 and 2.1.
    #expect(
      parts[3]
        == "fault takes 100 times as long as prefault (97.6 to 102)\n"
        + "prefault takes 2.05 times as long as uffd-continue-all (2.00 to 2.10)")
    #expect(
      parts[4]
        == "not measured: mlock: Cannot allocate memory\nnot used: thp: shmem_enabled is never\n"
    )
  }

  @Test func `the text says that a candidate is faster`() {
    let result = madeUpResult([(.prefaultDirty, [1]), (.populate, [3])])
    #expect(
      WireBenchmarkReport(result).text.contains(
        "\nprefault-dirty takes 3.00 times less time than populate\n"))
  }

  @Test func `zeroing is compared with the fastest way by speed, run by run`() throws {
    let report = WireBenchmarkReport(
      madeUpResult([(.prefaultDirty, [5, 4, 2]), (.zero, [4, 3.8, 1])]))
    #expect(
      report.text.contains(
        "\nprefault-dirty zeroes and wires at 80.0 % of the speed of zero (50.0 to 95.0)\n"))
    let comparisons = try #require(try object(report)["comparisons"] as? [[String: Any]])
    #expect(comparisons.map { $0["baseline"] as? String } == ["zero"])
    #expect(comparisons[0]["speedPercent"] as? Double == 80)
    #expect(comparisons[0]["ratio"] as? Double == 1.25)
    #expect(comparisons[0]["ratioLargest"] as? Double == 2)
  }

  /// A run that is slow as a whole does not change the ratio, as it would that of medians.
  @Test func `ratios are of pairs`() {
    let report = WireBenchmarkReport(
      madeUpResult([(.prefault, [1, 10, 100]), (.fault, [3, 30, 200])]))
    #expect(report.text.contains("fault takes 3.00 times as long as prefault (2.00 to 3.00)"))
    // The medians' ratio is 3 too; here it would be 20 / 1.
    let other = WireBenchmarkReport(
      madeUpResult([(.prefault, [1, 1, 10]), (.fault, [2, 20, 20])]))
    #expect(other.text.contains("fault takes 2.00 times as long as prefault (2.00 to 20.0)"))
  }

  @Test func `each backing has its own floors, and a placed guest has none`() {
    func floor(_ strategy: WireStrategy, _ backing: Backing, _ isPlaced: Bool) -> WireStrategy? {
      strategy.floor(on: backing, isPlaced: isPlaced)
    }
    #expect(floor(.prefault, .hugetlb2M, false) == .touch)
    #expect(floor(.window, .base, true) == .continueAll && floor(.prefault, .base, true) == nil)
    #expect(floor(.window, .thp, true) == .remap && floor(.unmap, .thp, true) == .munmap)
    #expect(floor(.prefaultDirty, .thpPrivate, true) == .zero)
    #expect(floor(.populate, .base, true) == nil && floor(.touch, .hugetlb2M, false) == nil)
    let text = WireBenchmarkReport(
      madeUpResult([(.prefault, [1]), (.continueAll, [1])], placement: .direct)
    ).text
    #expect(text.contains("prefault is in the arena's own mapping."))
    #expect(!text.contains("times"))
  }

  @Test func `an even number of runs has one median`() {
    let report = WireBenchmarkReport(
      madeUpResult([(.prefault, [1, 2, 4, 8]), (.fault, [1, 2, 4, 8])]))
    let words = report.text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    #expect(words.contains { $0.prefix(3) == ["prefault", "4.00", "s"] }, "\(report.text)")
    #expect(words.contains { $0.prefix(5) == ["x", "4", "1000", "8000", "4000"] })
  }

  @Test func `the JSON has the documented keys`() throws {
    let report = try object(WireBenchmarkReport(result))
    let promised: Set = [
      "memoryBytes", "runs", "backing", "placement", "arenaSeconds", "results", "comparisons",
    ]
    #expect(Set(report.keys) == promised.union(["threads", "fallbacks"]))
    #expect(report["memoryBytes"] as? Int == 4 << 20 && report["runs"] as? Int == 3)
    #expect(report["backing"] as? String == "base" && report["threads"] as? Int == 2)
    #expect(report["arenaSeconds"] as? Double == 0.375)
    #expect(report["fallbacks"] as? [String] == ["thp: shmem_enabled is never"])

    let results = try #require(report["results"] as? [[String: Any]])
    #expect(
      results.map { $0["strategy"] as? String } == [
        "fault", "prefault", "uffd-continue-all", "mlock",
      ])
    for measured in results {
      #expect(Set(measured.keys) == ["strategy", "seconds", "median", "problem"])
    }
    #expect(results[1]["seconds"] as? [Double] == [0.0040, 0.0041, 0.0042])
    #expect(results[1]["median"] as? Double == 0.0041)
    #expect(results[3]["seconds"] as? [Double] == [] && results[3]["median"] is Double == false)
    #expect(results[3]["problem"] as? String == "Cannot allocate memory")

    let comparisons = try #require(report["comparisons"] as? [[String: Any]])
    try #require(comparisons.count == 2)
    for comparison in comparisons {
      #expect(
        Set(comparison.keys) == [
          "baseline", "candidate", "ratio", "ratioSmallest", "ratioLargest", "speedPercent",
          "difference", "differenceError", "relativePercent", "relativeError", "pooledDeviation",
        ])
    }
    // In seconds; the numbers are those of the statistics.
    let own = try Comparison(
      baseline: SampleSummary([0.0040, 0.0041, 0.0042]),
      candidate: SampleSummary([0.41, 0.40, 0.42]),
      relativeError: .propagated)
    let first = comparisons[0]
    #expect(first["baseline"] as? String == "prefault" && first["candidate"] as? String == "fault")
    #expect(abs(try #require(first["speedPercent"] as? Double) - 1) < 1e-9)
    #expect(first["difference"] as? Double == own.difference)
    #expect(first["differenceError"] as? Double == own.errorBound)
    #expect(first["relativePercent"] as? Double == own.relativePercent)
    #expect(first["relativeError"] as? Double == own.relativeErrorPercent)
    #expect(first["pooledDeviation"] as? Double == own.pooledStandardDeviation)
    #expect(comparisons[1]["baseline"] as? String == "uffd-continue-all")
  }

  @Test(arguments: [(1, 0), (2, 0), (3, 1), (4, 1)])
  func `ministat needs three runs, ratios one`(runs: Int, count: Int) throws {
    let seconds = (0..<runs).map { 1 + Double($0) / 16 }
    let report = WireBenchmarkReport(
      madeUpResult([(.prefault, seconds), (.fault, seconds.map { $0 * 8 })]))
    let comparisons = try #require(try object(report)["comparisons"] as? [[String: Any]])
    #expect(comparisons.count == 1 && comparisons[0]["ratio"] as? Double == 8)
    #expect((comparisons[0]["difference"] is Double) == (count == 1))
    #expect((comparisons[0]["difference"] is NSNull) == (count == 0))
    #expect(report.text.contains("ministat needs at least 3 runs.") == (count == 0))
    #expect(report.text.contains("x prefault (milliseconds)") == (count == 1))
    // Medians and ratios need one.
    #expect(report.text.contains("\nfault takes 8.00 times as long as prefault\n"))
  }

  @Test func `a report without measurements has its notes`() throws {
    let report = WireBenchmarkReport(madeUpResult([], problems: [.mlock: "no", .populate: "no"]))
    #expect(report.text.contains("\nnot measured: populate: no\n"))
    #expect(try object(report)["arenaSeconds"] is Double == false)
  }
}
