import Foundation
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

@testable import HoldfastBench

struct BudgetTests {
  private let budgets = [
    Budget("wire", against: "touch", .times, 1.5, 1.4),
    Budget("unmap", against: "m", .times, 1.5, 3.1),
    Budget("zero", against: "z", .speed, 0.95, 0.5),
    Budget("slow", against: "z", .speed, 0.95, 0.4),
    Budget("time", .seconds, 0.0001, 0.5),
    Budget("fork", .seconds, 0.002, nil, problem: "no pages"),
    Budget("data", .share, 0.001, 0.0004),
  ]

  private var report: BudgetReport {
    BudgetReport(
      memory: .gibibytes(2), runs: 5, threads: 2, processor: "made up", budgets: budgets)
  }

  @Test func `numbers are within their budgets, or not`() {
    #expect(budgets.map(\.isMet) == [true, false, false, false, false, nil, true])
    // Absolute times never count as missed twofold.
    #expect(report.farMissed.map(\.work) == ["unmap", "slow"])
  }

  @Test func `the table`() {
    let lines = report.text.split(separator: "\n").map {
      $0.split(separator: " ").joined(separator: " ")
    }
    #expect(
      lines == [
        "Budgets for guests of 2 GiB on made up, 2 threads, medians of 5 runs",
        "work against budget measured",
        "wire touch at most 1.50x 1.40x met", "unmap m at most 1.50x 3.10x missed",
        "zero z at least 95.0 % 50.0 % missed", "slow z at least 95.0 % 40.0 % missed",
        "time - at most 100 us 500 ms missed", "fork - at most 2.00 ms - not measured",
        "data - at most 0.10 % 0.04 % met", "not measured: fork: no pages",
      ])
  }

  @Test func `the JSON has every key in every row`() throws {
    let rows = try #require(try object(report)["budgets"] as? [[String: Any]])
    let keys: Set = ["work", "against", "unit", "limit", "measured", "met", "problem"]
    #expect(rows.allSatisfy { Set($0.keys) == keys })
    #expect(rows[0]["met"] as? Bool == true && rows[5]["problem"] as? String == "no pages")
  }

  /// The rows of the layer and of ordinary memory are measured; what they say is for idle hosts.
  @Test func `the benchmark measures`() throws {
    let benchmark = BudgetBenchmark(memory: smallMemory(.mebibytes(16)), runs: 1)
    let layer = try benchmark.layer()
    #expect(layer.allSatisfy { ($0.measured ?? 0) > 0 })
    #expect(layer.map(\.unit) == [.seconds, .share, .times])
    let ordinary = try benchmark.ordinaryMemory()
    #expect(ordinary.count == 7 && ordinary[1..<6].allSatisfy { ($0.measured ?? 0) > 0 })
    #expect(ordinary[4].work == "lease by the owner" && ordinary[4].limit == 0.0002)
    #expect(ordinary[5].work == "lease by the socket" && ordinary[5].limit == 0.001)
    let fault = try #require(ordinary.last)
    #expect(fault.work.contains("self-served") && fault.unit == .times && fault.limit == 0.5)
    if HostNeeds.kvm, HostNeeds.userFault { #expect((fault.measured ?? 0) > 0) }
    #expect((fault.measured == nil) == (fault.problem != nil))
  }

  @Test(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
  func `each page fault is measured`() throws {
    let host = HostProbe().host()
    let faults = FaultLatencies(host: host, backing: .base, runs: 2)
    #expect(faults.problem == nil && faults.seconds.count == FaultLatencies.Server.allCases.count)
    for runs in faults.seconds.values {
      #expect(runs.map(\.count) == [64, 64] && runs.joined().allSatisfy { $0 > 0 })
    }
    let row = faults.budget
    #expect(row.measured == faults.ratio?.median && row.limit == 1.25 && row.unit == .times)
  }

  /// A reader who ends the benchmark does not wait for all rows.
  @Test func `a measurement ends before its next step`() {
    let benchmark = BudgetBenchmark(memory: smallMemory(.mebibytes(16)), runs: 1000)
    var steps = 0
    let error = #expect(throws: HoldfastError.self) {
      _ = try benchmark.ordinaryMemory { (_) throws(HoldfastError) in
        steps += 1
        if steps == 5 {
          throw HoldfastError(.cancelled, operation: "measure", reason: "it was cancelled")
        }
      }
    }
    #expect(error?.code == .cancelled && steps == 5)
  }

  @Test func `QEMU is measured with the memory that its budget is for`() {
    let row = BudgetBenchmark(memory: smallMemory(.mebibytes(16)), runs: 1).qemu()
    #expect(row.measured == nil && row.problem?.contains("8 GiB") == true)
    let large = BudgetBenchmark.qemuRow(.gibibytes(8), [2, 2, 4], [0.1, 0.2, 0.3], nil)
    #expect(large.measured == 0.075 && large.isMet == true && large.limit == 0.1)
  }

  @Test(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
  func `copies are measured`() throws {
    var memory = smallMemory(.mebibytes(16))
    memory.backing = .base
    let row = try CopyBudget(memory: memory, runs: 1).row()
    #expect((row.measured ?? 0) > 0 && row.unit == .times && row.limit == 1.3)
  }

  @Test(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
  func `snapshots are measured on a disk, and leave no file there`() throws {
    let folder = "/var/tmp/holdfast-\(UUID())"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let benchmark = BudgetBenchmark(memory: smallMemory(.mebibytes(16)), runs: 3)
    let rows = benchmark.snapshots(in: folder)
    #expect(rows.count == 3 && rows.allSatisfy { $0.unit == .times })
    let isDisk = try Folder.open(path: folder).fileSystem().kind == .other
    #expect(rows.allSatisfy { isDisk ? ($0.measured ?? 0) > 0 : $0.problem != nil }, "\(rows)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
  }

  @Test(arguments: [("/dev/shm", "in memory"), ("/nowhere", "fails")])
  func `snapshots that cannot be measured say why`(folder: String, word: String) {
    let rows = BudgetBenchmark(memory: smallMemory(.mebibytes(16)), runs: 1).snapshots(in: folder)
    #expect(rows.count == 3)
    #expect(rows.allSatisfy { $0.measured == nil && $0.problem?.contains(word) == true })
  }
}
