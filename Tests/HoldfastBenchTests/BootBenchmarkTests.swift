import Foundation
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import SystemPackage
import Testing

@testable import HoldfastBench

/// The parts of `bench boot`, without QEMU.
struct BootBenchmarkTests {
  /// What `bench all` says of a boot that it does not measure.
  @Test func `a boot without a guest is left out with the reason`() throws {
    func report(_ program: String?, _ guest: GuestImage?) throws -> CompleteReport {
      var benchmark = CompleteBenchmark(
        memory: smallMemory(.mebibytes(64)), runs: 1, isQuick: true, program: program,
        snapshotFolder: "/var/tmp")
      benchmark.guest = guest
      var report = CompleteReport(
        memory: .mebibytes(64), runs: 1, threads: 1, isQuick: true, host: HostProbe().host())
      try benchmark.measureBoot(&report)
      return report
    }
    let unnamed = try report("/bin/true", nil)
    #expect(unnamed.missing.map(\.reason) == ["it needs --guest-kernel and --guest-initrd"])
    #expect(unnamed.page.contains("it needs --guest-kernel and --guest-initrd"))
    let other = try report(nil, GuestImage(kernel: "/a", initrd: "/b"))
    #expect(other.missing.map(\.reason) == ["another program measures"] && other.ways.isEmpty)
    let missing = try report("/bin/true", GuestImage(kernel: "/dev/null", initrd: "/missing/b"))
    #expect(missing.ways.map(\.way) == ["boot", "clone"] && missing.boot == nil)
    for way in missing.ways {
      #expect(way.problem?.contains("/missing/b cannot be read") == true && way.seconds.isEmpty)
    }
    #expect(missing.page.contains("/missing/b cannot be read"))
    #expect(try object(missing)["boot"] is NSNull)
  }

  @Test func `marked lines are read whatever the pieces that they come in`() {
    var console = GuestConsole(marker: "ready")
    #expect(console.receive(Array("SeaBIOS\r\n[ 1.0] x\nready".utf8)) == [])
    #expect(console.receive(Array(" 1\r".utf8)) == [] && console.number == nil)
    let others = "\nready 2\nready x\nready  3\nreadyready 4\nrea"
    #expect(console.receive(Array(others.utf8)) == [1, 2] && console.number == 2)
    // A clone continues within the line.
    var clone = console
    #expect(clone.receive(Array("dy 3\r\n rea".utf8)) == [3])
    #expect(clone.receive(Array("dy 4\nrea".utf8)) == [])
    #expect(console.number == 2 && clone.number == 3)
    // A long line without an end takes no memory and is not read as a line.
    for _ in 0..<100 { #expect(console.receive([UInt8](repeating: 65, count: 1000)) == []) }
    #expect(console.receive(Array("\nready 18446744073709551615\n".utf8)) == [.max])
    #expect(console.receive(Array("ready 18446744073709551616\nready -1\nready\n".utf8)) == [])
  }

  @Test func `a program beside this one is read, and ends with all that it started`() throws {
    let program = try StartedProgram([
      "sh", "-c",
      "echo one; echo 'holdfast: error: first' >&2; echo second >&2; sleep 100 & wait",
    ])
    var text = ""
    while !text.contains("one\n") {
      text += String(decoding: try #require(try program.read(milliseconds: 10_000)), as: UTF8.self)
    }
    #expect(try program.read(milliseconds: 1) == nil && program.endedStatus() == nil)
    #expect(eventually { program.message == "second" } && program.error == "first")
    program.end()
    #expect(program.endedStatus() == 128 + SIGTERM)
    // The sleep had the output too.
    #expect(try program.read(milliseconds: 10_000) == [])
    let deaf = try StartedProgram(["sh", "-c", "trap '' TERM; echo $$; exec sleep 100"])
    let line = try #require(try deaf.read(milliseconds: 10_000))
    let process = try #require(pid_t(String(decoding: line.dropLast(), as: UTF8.self)))
    #expect(kill(process, 0) == 0 && getpgid(process) == process)
    deaf.end(within: .milliseconds(100))
    #expect(deaf.endedStatus() == 128 + SIGKILL && kill(process, 0) == -1)
    #expect(throws: Errno.noSuchFileOrDirectory) { try StartedProgram(["/nonexistent/program"]) }
    #expect(throws: Errno.invalidArgument) { try StartedProgram(["a\0b"]) }
    let ended = try StartedProgram(["sh", "-c", "exit 7"])
    #expect(try ended.read(milliseconds: 10_000) == [] && ended.wait(within: .seconds(10)) == 7)
  }

  /// Scripts in the place of `holdfast`; the last step is the one that fails.
  @Test(arguments: [
    ("exec yes", ["boot"], "the guest has written no line 'ready NUMBER' to its console"),
    ("exit 3", ["boot"], "the machine ended early, with status 3"),
    ("echo QEMU >&2; exit 3", ["boot"], "the machine ended early, with status 3: QEMU"),
    ("[ $2 = seal ] && exec yes; \(waits)", ["boot", "seal"], "the seal does not end"),
    ("[ $2 = seal ] && exit; \(floods)", ["boot", "seal"], "the machine does not end"),
    ("[ $2 = seal ] && { \(fails); }; \(waits)", ["boot", "seal"], "cannot a: b; try: c"),
    ("[ $1 = run ] && { \(fails); }; \(waits)", ["boot", "clone"], "cannot a: b; try: c"),
    ("[ $1 = run ] && exit; \(waits)", ["boot", "clone"], "the clone ended early, with status 0"),
    ("[ $1 = run ] && exec yes; \(waits)", ["boot", "clone"], "the guest has written no line"),
  ])
  func `a failure has the name of what failed`(
    _ script: String, _ steps: [String], _ reason: String
  ) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())").path
    try FileManager.default.createDirectory(
      atPath: folder + "/files", withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let program = folder + "/program"
    // Another process writes it: one that a thread forks here meanwhile would have it open, and an
    // open program cannot be started.
    let writer = try StartedProgram([
      "sh", "-c", "printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\" && chmod 755 \"$1\"", "sh", program,
      script,
    ])
    #expect(writer.wait(within: .seconds(60)) == 0)
    let machines = try BootMachines(
      BootBenchmark(
        memory: .mebibytes(32), guest: GuestImage(kernel: program, initrd: program), runs: 1,
        threads: 1, holdfast: program), folder + "/files")
    let end = Instant.now + .seconds(60)
    func check() throws(HoldfastError) {
      if Instant.now > end {
        throw HoldfastError(.cancelled, operation: "test", reason: "it goes on without an end")
      }
    }
    let error = #expect(throws: HoldfastError.self) {
      for (index, step) in steps.enumerated() {
        if index == steps.count - 1, script.contains("yes") { machines.limit = .seconds(2) }
        switch step {
        case "boot": _ = try machines.boot(keeping: true, check)
        case "seal": _ = try machines.seal(check)
        default: _ = try machines.clone(isFirst: false, check)
        }
      }
    }
    #expect(error?.reason.hasPrefix(reason) == true, "\(String(describing: error))")
    // An error of holdfast has its own advice.
    #expect(error?.description.components(separatedBy: "try: ").count == 2)
  }

  private static let floods = "echo ready 1; exec yes"
  private static let waits = "echo ready 1; exec sleep 100"
  private static let fails = "echo 'holdfast: error: cannot a: b; try: c' >&2; exit 1"

  @Test func `the report has the pairs of the runs`() throws {
    var result = BootBenchmark.Result(
      memory: .mebibytes(128), backing: "tmpfs", runs: 3, version: "QEMU 1", accelerator: "tcg")
    result.seconds = [.boot: [3, 4, 8], .clone: [0.5, 1, 1], .seal: [0.25]]
    let json = try object(BootBenchmarkReport(result))
    #expect(json["speedup"] as? Double == 6 && json["speedupSmallest"] as? Double == 4)
    #expect(json["speedupLargest"] as? Double == 8 && json["sealSeconds"] as? Double == 0.25)
    #expect(json["backing"] as? String == "tmpfs" && json["memoryBytes"] as? Int == 128 << 20)
    #expect(json["runs"] as? Int == 3 && json["qemu"] as? String == "QEMU 1")
    let results = try #require(json["results"] as? [[String: Any]])
    #expect(results.map { $0["part"] as? String } == ["boot", "clone"])
    #expect(results.map { $0["median"] as? Double } == [4, 1])
    #expect(results.map { $0["smallest"] as? Double } == [3, 0.5])
    #expect((json["comparison"] as? [String: Any])?["ratio"] as? Double == 1.0 / 6)
    let text = BootBenchmarkReport(result).text
    #expect(text.contains("a clone takes 6.00 times less time than a boot (4.00 to 8.00)"))
    #expect(text.contains("boot   4.00 s    from the start"))
    result.seconds = [:]
    let empty = try object(BootBenchmarkReport(result))
    #expect(empty.count == json.count && empty["speedup"] is NSNull)
    #expect(!BootBenchmarkReport(result).text.contains("a clone takes"))
  }
}
