import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastReservoir
@testable import HoldfastService

private enum Python {
  static let path: String? = ["/usr/bin/python3", "/usr/local/bin/python3"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }
}

/// The dashboard and the alerts of packaging against the metrics of the service.
@Suite(.enabled(if: HostNeeds.isStrict || Python.path != nil, "needs python3"))
struct MonitoringTests {
  /// Metrics with every kind of sample that the service can expose.
  private var everything: String {
    var metrics = ServiceMetrics()
    for operation in ["lease", "fill", "recycle", "release", "status", "collect", "textfile"] {
      metrics.succeed(operation)
      for code in HoldfastError.Code.allCases { metrics.fail(operation, code.rawValue) }
    }
    metrics.fail("reload", "configuration")
    var status = ReservoirStatus(
      path: "/dev/hugepages/holdfast", pageSize: .mebibytes(2), isHugetlb: true, owner: 0,
      isComplete: true)
    status.freePages = PageCount(7)
    status.rows = [
      .init(size: .gibibytes(10), node: NodeID(1), ready: 1),
      .init(size: .gibibytes(10), filling: 1),
    ]
    let levels = [
      ServiceConfiguration.Level(count: 4, size: .gibibytes(10), node: NodeID(1)),
      ServiceConfiguration.Level(count: 4, size: .gibibytes(4)),
    ]
    return metrics.text(status, levels: levels, isHealthy: true)
  }

  private func check(_ metrics: String) throws -> (status: Int32, text: String) {
    let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "metrics.prom")
    try metrics.write(to: file, atomically: true, encoding: .utf8)
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let process = Process()
    process.executableURL = URL(filePath: try #require(Python.path, "python3 is missing"))
    process.arguments = [root.appending(path: "Scripts/check-monitoring").path, file.path]
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text)
  }

  @Test func `the queries name only what the service exposes`() throws {
    let (status, text) = try check(everything)
    #expect(status == 0, "\(text)")
  }

  @Test(
    arguments: [
      ("level_files", "levels"), ("lease_seconds", "lease_time"), ("state=", "kind="),
      ("noReadyMemory", "empty"), ("pool_free_pages", "pool_pages"), ("healthy", "well"),
    ])
  func `a renamed metric, label or code is noticed`(_ name: String, _ new: String) throws {
    let (status, text) = try check(everything.replacing(name, with: new))
    #expect(status == 1 && text.contains("holdfast"), "\(text)")
  }
}
