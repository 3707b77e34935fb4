import Foundation
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

/// `holdfast bench qemu`, with QEMU if it is installed, and with a script in its place.
///
/// One at a time: all take the lock of the huge pages, and a test that waits keeps a thread from
/// others.
@Suite(
  .serialized,
  .enabled(
    if: HostNeeds.isRoot && HostNeeds.hugePages(.mebibytes(80)),
    "needs root and \(HostNeeds.hugePagesComment)"))
struct BenchQEMUTests {
  private let pool = HugePagePool(size: .mebibytes(2))
}

extension BenchQEMUTests {
  private func run(_ words: String...) throws -> HoldfastProgram.Outcome {
    var outcome = try HoldfastProgram(["bench", "qemu", "--memory", "64M"] + words).wait()
    // A process that another test is just starting may still have the script open for writing.
    for _ in 0..<50 where outcome.error.contains("Text file busy") {
      usleep(100_000)
      outcome = try HoldfastProgram(["bench", "qemu", "--memory", "64M"] + words).wait()
    }
    return outcome
  }

  private func object(_ outcome: HoldfastProgram.Outcome) throws -> [String: Any] {
    try #require(outcome.status == 0, "\(outcome)")
    let value = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
    return try #require(value as? [String: Any])
  }

  @Test(.enabled(if: HostNeeds.qemu, "\(HostNeeds.qemuComment)"))
  func realQEMU() throws {
    try HugePageLock.withLock {
      let report = try object(run("--runs", "3", "--format", "json"))
      #expect((report["qemu"] as? String)?.hasPrefix("QEMU emulator version") == true)
      let results = try #require(report["results"] as? [[String: Any]])
      #expect(results.map { ($0["seconds"] as? [Double])?.count } == [3, 3, 3, 3, 3, 3])
      // Each of the 32 pages of 2 MiB is faulted in, by QEMU ahead or by the first access later.
      let faults = Dictionary(
        uniqueKeysWithValues: results.map { ($0["part"] as? String, $0["minorFaults"] as? [Int]) })
      #expect(faults["touch"] == [32, 32, 32] && faults["lease"] == .some(nil))
      let populated = try #require(faults["prealloc"] ?? nil)
      let leased = try #require(faults["leased"] ?? nil)
      #expect(populated.min() ?? 0 > 32 && (leased.min() ?? 0) > 0)
      #expect((report["speedupWithTouching"] as? Double ?? 0) > 0)
      #expect((report["comparison"] as? [String: Any])?["difference"] is Double)
    }
  }

  /// A script that records the memory it is started with, and exits with a status.
  private func script(status: Int, _ body: (String) throws -> Void) throws -> [String] {
    let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let log = folder.appending(path: "log").path
    let path = folder.appending(path: "qemu").path
    let text = """
      #!/bin/sh
      [ "$1" != --version ] || { echo "A script, version 1"; exit 0; }
      file=${*##*mem-path=}
      file=${file%%,*}
      case "$*" in
        *memory-backend-file*) echo "file $(stat -c %s "$file") $(dirname "$file")" ;;
        *memory-backend-memfd*prealloc=on*) echo "memfd" ;;
      esac >>\(log)
      grep -q quit >>\(log) || exit 9
      echo "some words" >&2
      exit \(status)
      """
    try ScriptFile.write(text, to: path)
    try body(path)
    return ((try? String(contentsOfFile: log, encoding: .utf8)) ?? "")
      .split(separator: "\n").map(String.init)
  }

  @Test func bothKindsOfMemoryAlternate() throws {
    try HugePageLock.withLock {
      let lines = try script(status: 0) { path in
        let report = try object(run("--runs", "2", "--qemu", path, "--format", "json"))
        #expect(report["qemu"] as? String == "A script, version 1")
        let comparison = report["comparison"] as? [String: Any]
        #expect(comparison?["ratio"] is Double && comparison?["difference"] is NSNull)
      }
      let file = "file \(64 << 20) "
      #expect(lines.count == 6, "\(lines)")
      #expect(
        lines.map { $0.hasPrefix(file) } == [true, false, false, true, true, false], "\(lines)")
      #expect(lines.filter { $0 == "memfd" }.count == 3)
      #expect(lines.allSatisfy { $0 == "memfd" || $0.hasSuffix("/holdfast/leased/0") })
      // No other process has seen the mount.
      let mounts = try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)
      let folder = lines[0].split(separator: " ")[2].replacing("/holdfast/leased/0", with: "")
      #expect(!mounts.contains(" \(folder) ") || folder == "/dev/hugepages")
    }
  }

  @Test func failuresAreOneLine() throws {
    try HugePageLock.withLock {
      _ = try script(status: 3) { path in
        let before = try pool.available
        let outcome = try run("--runs", "1", "--qemu", path)
        #expect(outcome.status == 1 && outcome.output.isEmpty)
        #expect(
          outcome.error.hasSuffix("cannot run \(path): it ended with status 3: some words\n")
            && outcome.error.split(separator: "\n").count == 1, "\(outcome.error)")
        #expect(try pool.available >= before)
      }
      for (words, text) in [
        (
          ["-m", "64M", "--qemu", "/nonexistent/qemu"],
          "apt-get install qemu-system-x86, or --qemu <program>"
        ),
        (["-m", "900T", "--qemu", "true"], "huge pages of 2 MiB are needed, but"),
      ] {
        let outcome = try HoldfastProgram(["bench", "qemu"] + words).wait()
        #expect(outcome.status == 1 && outcome.error.contains(text), "\(outcome)")
        #expect(outcome.error.split(separator: "\n").count == 1)
      }
    }
  }
}
