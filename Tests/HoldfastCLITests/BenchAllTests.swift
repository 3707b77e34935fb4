import Foundation
import HoldfastTestKit
import Testing

/// `holdfast bench all`: its files, its end by a signal, and folders that it cannot write to. What is
/// measured is for `.ci/run`, on an idle host.
@Suite(.serialized) struct BenchAllTests {}

extension BenchAllTests {
  private func withFolder(_ body: (URL) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder)
  }

  private func report(_ folder: URL) throws -> [String: Any] {
    let data = try Data(contentsOf: folder.appending(path: "report.json"))
    return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  /// The signal comes while the work lasts, which takes longer than that on any machine.
  @Test func `an interrupted benchmark writes what there is, and ends by the signal`() throws {
    try withFolder { folder in
      let path = folder.appending(path: "new")
      let program = try HoldfastProgram([
        "bench", "all", "--quick", "--memory", "64M", "--runs", "1000", "--report", path.path,
      ])
      usleep(1_500_000)
      program.send(SIGINT)
      let outcome = try program.wait()
      #expect(outcome.signal == SIGINT, "\(outcome)")
      let report = try report(path)
      #expect(report["complete"] as? Bool == false)
      #expect(report["reason"] as? String == "it was interrupted")
      let page = try String(contentsOf: path.appending(path: "index.html"), encoding: .utf8)
      #expect(page.contains("not complete"))
      let csv = try String(contentsOf: path.appending(path: "report.csv"), encoding: .utf8)
      #expect(csv.hasPrefix("group,way,name"))
    }
  }

  @Test(arguments: [
    (["--memory", "1M"], "64 MiB"), (["--memory", "65M"], "multiple of 2 MiB"),
    (["--report", ""], "empty"), (["--runs", "0"], "runs"),
  ])
  func `arguments that cannot be`(_ words: [String], _ text: String) throws {
    let outcome = try HoldfastProgram(["bench", "all"] + words).wait()
    #expect(outcome.status == 64 && outcome.error.contains(text), "\(outcome)")
  }

  /// Before anything is measured.
  @Test func `a folder that cannot be written to is an error`() throws {
    try withFolder { folder in
      let file = folder.appending(path: "file").path
      #expect(FileManager.default.createFile(atPath: file, contents: nil))
      for path in [file, file + "/report", folder.path + "/a/b", "/proc/report"] {
        let outcome = try HoldfastProgram(["bench", "all", "--quick", "--report", path]).wait()
        #expect(outcome.status == 1, "\(path): \(outcome)")
        #expect(outcome.error.contains("another --report"), "\(path): \(outcome)")
      }
      // A folder in the place of one of its files.
      let inner = folder.appending(path: "r/index.html")
      try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: true)
      let outcome = try HoldfastProgram([
        "bench", "all", "--quick", "--report", folder.appending(path: "r").path,
      ]).wait()
      #expect(outcome.status == 1 && outcome.error.contains("report"), "\(outcome)")
    }
  }
}
