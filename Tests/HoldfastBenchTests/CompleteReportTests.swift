import Foundation
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import SystemPackage
import Testing

@testable import HoldfastBench

struct CompleteReportTests {
  /// A made-up report: two ways and their floor in three runs, the second of which is noisy, and one
  /// way that cannot be measured.
  private var report: CompleteReport {
    var report = CompleteReport(
      memory: .gibibytes(1), runs: 3, threads: 2, isQuick: true, host: HostProbe().host())
    report.conditions = [
      RunConditions(part: "wire", run: 1, load: 0.5, steal: 0, others: 0.01),
      RunConditions(part: "wire", run: 2, load: 2, steal: 0.02, others: 0.01),
      RunConditions(part: "wire", run: 3, load: nil, steal: nil, others: nil),
    ]
    var wire = MeasuredWay(
      .wire, "prefault", "Holdfast, \"quick\" & <safe>", .holdfast, backing: "base",
      memory: .gibibytes(1), floor: "touch")
    wire.seconds = [0.001, 0.004, 0.002]
    wire.conditions = [0, 1, 2]
    var floor = MeasuredWay(
      .wire, "touch", "floor", .floor, backing: "base", memory: .gibibytes(1))
    floor.seconds = [0.0005, 0.001, 0.001]
    floor.conditions = [0, 1, 2]
    var failed = MeasuredWay(.wire, "remap", "other", .floor, backing: "hugetlb-1G")
    failed.fail("no pages")
    report.ways = [wire, floor, failed]
    for (size, time) in [(UInt64(1), 0.01), (2, 0.02), (4, 0.04)] {
      var way = MeasuredWay(
        .size, "populate", "MADV_POPULATE_WRITE", .kernel, backing: "base",
        memory: .gibibytes(size), threads: 2)
      way.seconds = [time, time, time]
      way.conditions = [0, 1, 2]
      report.ways.append(way)
    }
    report.latencies = [
      .handlerInC: [1e-5, 2e-5, 4e-5], .handlerThreads: (1...100).map { Double($0) / 1024 },
    ]
    report.budgets = [Budget("wire", against: "touch", .times, 1.5, 2)]
    report.missing = [.init("snapshots", "left out")]
    var clone = CloneMemory(
      backing: "base", memory: .mebibytes(4), clones: 4, written: .mebibytes(1))
    clone.copied = .mebibytes(2)
    report.clones = [clone]
    addBoot(to: &report)
    return report
  }

  private func addBoot(to report: inout CompleteReport) {
    var boot = BootBenchmark.Result(
      memory: .mebibytes(256), backing: "tmpfs", runs: 3, version: "QEMU <7>", accelerator: "tcg")
    boot.seconds = [.boot: [3, 4, 8], .clone: [0.5, 1, 1], .seal: [0.25]]
    report.boot = boot
    for (part, kind) in [(BootBenchmark.Part.boot, MeasuredWay.Kind.program), (.clone, .holdfast)] {
      var way = MeasuredWay(
        .boot, part.rawValue, part.rawValue, kind, backing: "tmpfs", memory: .mebibytes(256))
      way.seconds = boot[part]
      way.conditions = [0, 1, 2]
      report.ways.append(way)
    }
  }

  @Test func `a boot and a clone are on the page, with their ratio`() throws {
    let page = report.page
    #expect(page.contains("A boot, and a clone") && page.contains("QEMU &lt;7&gt; (tcg)"))
    for key in ["speedup", "speedupSmallest", "speedupLargest", "memoryBytes", "sealSeconds"] {
      #expect(page.contains("data-key=\"boot.\(key)\""), "\(key)")
    }
    #expect(page.contains("files on tmpfs"))
    #expect(report.pictures.map(\.name).contains("boot.svg"))
    #expect(report.text.contains("a clone takes 6.00 times less time than a boot (4.00 to 8.00)"))
    #expect(report.csv.contains("boot,clone,clone,holdfast,tmpfs,268435456,1,1,0.5,0"))
    var cut = report
    cut.boot = nil
    cut.ways.removeAll { $0.group == .boot }
    #expect(!cut.page.contains("A boot, and a clone"))
    #expect(!cut.pictures.map(\.name).contains("boot.svg"))
  }

  @Test func `ratios are of pairs of runs, and noise is that of the run`() throws {
    let report = report
    #expect(
      report.ratio(report.ways[0]) == PairedRatio(baseline: [1, 1, 1], candidate: [2, 4, 2]))
    #expect(report.ratio(report.ways[1]) == nil)
    #expect((0..<3).map { report.isNoisy(report.ways[0], $0) } == [false, true, false])
    // The last run of an interrupted benchmark may have the floor alone.
    var cut = report
    cut.ways[0].seconds.removeLast()
    #expect(cut.ratio(cut.ways[0])?.largest == 4)
  }

  @Test func `slopes are exponents`() throws {
    let slope = try #require(report.slopes.first?.slope)
    #expect(abs(slope - 1) < 1e-9)
    let square = CompleteReport.slope([(1, 3), (2, 12), (8, 192)])
    #expect(abs((square ?? 0) - 2) < 1e-9)
    #expect(CompleteReport.slope([(1, 3)]) == nil && CompleteReport.slope([(2, 3), (2, 4)]) == nil)
    #expect(CompleteReport.slope([(0, 3), (1, 0)]) == nil)
  }

  @Test func `each access is in one bin, and percentiles are times that were measured`() throws {
    let faults = report.faults
    #expect(faults.map(\.server) == ["handler in C", "handler threads"])
    for server in faults {
      #expect(server.bins.reduce(0) { $0 + $1.count } == server.seconds.count)
      #expect(zip(server.bins, server.bins.dropFirst()).allSatisfy { $0.to == $1.from })
    }
    #expect(faults[1].percentile(50) == 50.0 / 1024 && faults[1].percentile(99) == 99.0 / 1024)
    #expect(faults[1].percentile(100) == 100.0 / 1024 && faults[0].percentile(90) == 4e-5)
  }

  @Test func `the JSON has every key`() throws {
    let json = try object(report)
    let ways = try #require(json["ways"] as? [[String: Any]])
    #expect(Set(ways.map(\.count)) == [18])
    #expect(ways[0]["floorRatio"] as? Double == 2 && ways[0]["median"] as? Double == 0.002)
    #expect(ways[2]["problem"] as? String == "no pages" && ways[2]["median"] is NSNull)
    let conditions = try #require(json["conditions"] as? [[String: Any]])
    #expect(conditions.map { $0["noisy"] as? Bool } == [false, true, false])
    #expect(conditions[2]["load"] is NSNull)
    #expect(
      (json["published"] as? [[String: Any]])?.map { $0["seconds"] as? Double } == [0.875, 0.0925])
  }

  @Test func `the CSV has a line for each run`() {
    let lines = report.csv.components(separatedBy: "\r\n")
    #expect(lines.count == 1 + 6 + 9 + 6 + 1 && lines.last == "")
    #expect(
      lines[2]
        == "wire,prefault,\"Holdfast, \"\"quick\"\" & <safe>\",holdfast,base,1073741824,1,2,0.004,1"
    )
  }

  @Test func `each number of the page is in the JSON`() throws {
    let json = try object(report)
    let page = report.page
    let parts = page.components(separatedBy: "data-key=\"").dropFirst()
    #expect(parts.count > 50)
    for part in parts {
      let key = part.prefix { $0 != "\"" }
      let rest = try #require(part.range(of: "data-value=\""))
      let number = Double(part[rest.upperBound...].prefix { $0 != "\"" })
      var value: Any? = json
      for step in key.split(separator: ".") {
        if let list = value as? [Any] {
          value = Int(step).flatMap { list.indices.contains($0) ? list[$0] : nil }
        } else {
          value = (value as? [String: Any])?[String(step)]
        }
      }
      #expect((value as? NSNumber)?.doubleValue == number, "\(key)")
    }
    #expect(page.contains("Holdfast, &quot;quick&quot; &amp; &lt;safe&gt;"))
    #expect(page.contains("no pages") && page.contains("left out") && !page.contains("<script"))
    #expect(page.contains("noisy"))
  }

  @Test func `an interrupted report says so`() {
    var report = report
    report.isComplete = false
    report.reason = "it was interrupted"
    #expect(report.page.contains("not complete") && report.text.contains("not complete"))
    report.ways = []
    #expect(report.page.contains("</html>"))
  }

  @Test func `the host's other work is told from the benchmark's`() throws {
    let before = try #require(ProcessorTimes("cpu  100 0 100 800 0 0 0 0 0 0\n", own: 1))
    let after = try #require(ProcessorTimes("cpu  300 0 200 1400 0 0 50 50 0 0\ncpu0 1", own: 3))
    let conditions = after.conditions(since: before, part: "a", run: 1, load: 1.5)
    // 10 seconds: 3.5 of work, of which 2 are the benchmark's, and half a second of steal.
    #expect(conditions.steal == 0.05 && abs((conditions.others ?? 0) - 0.15) < 1e-12)
    #expect(conditions.isNoisy && conditions.load == 1.5)
    #expect(before.conditions(since: before, part: "a", run: 1, load: nil).others == nil)
    #expect(ProcessorTimes("intr 5", own: 0) == nil && ProcessorTimes("cpu 1 2", own: 0) == nil)
    #expect(ProcessorTimes.now != nil && ProcessorTimes.load != nil)
  }

  @Test func `sizes and threads end with the whole`() {
    func benchmark(_ size: ByteCount, _ threads: Int) -> CompleteBenchmark {
      var memory = smallMemory(size)
      memory.threads = threads
      return CompleteBenchmark(
        memory: memory, runs: 1, isQuick: true, program: nil, snapshotFolder: "/var/tmp")
    }
    #expect(benchmark(.gibibytes(1), 6).sizes == [.mebibytes(256), .mebibytes(512), .gibibytes(1)])
    #expect(benchmark(.mebibytes(64), 1).sizes == [.mebibytes(64)])
    #expect(benchmark(.mebibytes(640), 1).sizes.last == .mebibytes(640))
    #expect(benchmark(.gibibytes(1), 6).threadCounts == [1, 2, 4, 6])
    #expect(benchmark(.gibibytes(1), 1).threadCounts == [1])
  }

  /// Not the memory of this process, as wait4(2) has it.
  @Test func `the memory of a program is its own`() throws {
    let memory = [UInt8](repeating: 1, count: 64 << 20)
    let peak = try EndedProgram.peak(["/bin/echo", "text"])
    #expect(peak > 100 << 10 && peak < 16 << 20 && memory[5] == 1)
    #expect(throws: Errno.noSuchFileOrDirectory) {
      try EndedProgram.peak(["/nonexistent/program"])
    }
  }

  /// The copies are those of the pages that were written, of each clone.
  @Test(
    .enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"),
    arguments: [Backing.base, .hugetlb2M])
  func `clones copy what they write`(_ backing: Backing) {
    let host = HostProbe().host()
    let size = ByteCount.mebibytes(16)
    guard backing == .base || HostNeeds.hugePages(size) else { return }
    let memory = BenchmarkMemory(size: size, backing: nil, threads: 1, host: host)
    let clones = HugePageLock.withLock { CloneMemory.measure(memory, backing) }
    #expect(clones.problem == nil && clones.memory == .mebibytes(8) && clones.clones == 4)
    // 2 pages of 4 KiB, 512 KiB apart: in one page of 2 MiB, for each of 4 clones.
    #expect(clones.written == .kibibytes(8))
    #expect(clones.copied == (backing == .base ? .kibibytes(32) : .mebibytes(8)))
    #expect(clones.separate == .mebibytes(32))
  }

  /// The benchmark ends at the step after a cancellation, with what it has.
  @Test func `a cancelled benchmark has a report`() {
    let token = CancellationToken()
    let benchmark = CompleteBenchmark(
      memory: smallMemory(.mebibytes(64)), runs: 1, isQuick: true, program: nil,
      snapshotFolder: "/var/tmp", cancellation: token)
    var steps = 0
    let report = benchmark.run { step in
      steps += 1
      if step.run == 1 { token.cancel() }
    }
    #expect(!report.isComplete && report.reason == "it was interrupted" && steps > 1)
    #expect(report.budgets.isEmpty && !report.conditions.isEmpty)
    #expect(report.page.contains("not complete"))
  }
}
