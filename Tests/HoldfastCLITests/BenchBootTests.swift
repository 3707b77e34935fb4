import Foundation
import HoldfastTestKit
import Testing

/// `holdfast bench boot` with the monitor of Tests/Template in QEMU's place. `.ci/run` boots a kernel.
@Suite(.serialized, .enabled(if: HostNeeds.python, "\(TemplatePlace.needs)"))
struct BenchBootTests {
  /// An empty folder on tmpfs or a disk, and a copy of the monitor.
  private let place: BootPlace

  init() throws { place = try BootPlace() }

  @Test(arguments: [BootPlace.Kind.memory, .disk])
  func `boots and clones alternate, and all is gone at the end`(_ kind: BootPlace.Kind) throws {
    let outcome = try place.run(kind, "--runs", "3", "--format", "json").wait()
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    let value = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
    let json = try #require(value as? [String: Any])
    #expect(json["qemu"] as? String == "QEMU emulator version 7.2.22 (qemu-stub)")
    #expect(json["backing"] as? String == (kind == .disk ? "disk" : "tmpfs"))
    #expect(json["memoryBytes"] as? Int == 32 << 20 && json["accelerator"] as? String == "tcg")
    #expect(json["sealSeconds"] is Double && json["speedup"] is Double)
    let results = try #require(json["results"] as? [[String: Any]])
    #expect(results.map { ($0["seconds"] as? [Double])?.count } == [3, 3])
    #expect(place.names(kind) == [] && eventually { place.monitors() == [] })
  }

  @Test func `the text has both, and the ratio`() throws {
    let outcome = try place.run(.memory, "--runs", "1").wait()
    #expect(outcome.status == 0, "\(outcome)")
    #expect(outcome.output.contains("a clone takes ") && outcome.output.contains("\nboot   "))
  }

  @Test func `a signal ends it, and nothing is left`() throws {
    for (delay, number) in [(100_000, SIGINT), (700_000, SIGTERM), (1_500_000, SIGINT)] {
      let program = try place.run(.memory, "--runs", "1000")
      usleep(UInt32(delay))
      program.send(number)
      let outcome = try program.wait()
      #expect(outcome.signal == number && outcome.output.isEmpty, "\(outcome)")
      #expect(place.names(.memory) == [], "after \(delay) us")
      // It was killed, which takes the kernel a moment.
      #expect(eventually { place.monitors() == [] }, "after \(delay) us")
    }
  }

  /// What is killed ends its machines, and the next run removes its folder.
  @Test func `the next run removes what a killed one left`() throws {
    var left: [String] = []
    for delay in [700_000, 1_500_000] as [UInt32] {
      let program = try place.run(.memory, "--runs", "1000")
      try #require(
        eventually { place.names(.memory).count == 1 && place.names(.memory) != left })
      usleep(delay)
      left = place.names(.memory)
      program.send(SIGKILL)
      _ = try program.wait()
      #expect(eventually { place.monitors() == [] })
      #expect(place.names(.memory) == left)
    }
    // One that runs is let alone.
    let other = try place.run(.memory, "--runs", "1000")
    #expect(eventually { place.names(.memory) != left && place.names(.memory).count == 1 })
    let used = place.names(.memory)
    let outcome = try place.run(.memory, "--runs", "1").wait()
    #expect(outcome.status == 0, "\(outcome)")
    #expect(place.names(.memory) == used)
    other.send(SIGINT)
    #expect(try other.wait().signal == SIGINT && place.names(.memory) == [])
  }

  @Test(arguments: [
    ("end=3", "the machine ended early, with status 3"),
    ("refuse=migrate", "State blocked by a device of migrate"),
    ("fail=incoming", "cannot start the clone 'clone'"),
    ("again", "the guest has written 'ready 1' after 'ready "),
  ])
  func `a guest that fails is one line, and nothing is left`(_ fault: String, _ text: String) throws
  {
    try Data(fault.utf8).write(to: URL(filePath: place.monitor + ".faults"))
    let outcome = try place.run(.memory, "--runs", "1").wait()
    outcome.expectFailure(1, text)
    #expect(place.names(.memory) == [] && eventually { place.monitors() == [] })
  }

  @Test(
    arguments: [
      ([], 64, "are missing"), (["--guest-kernel", "/a"], 64, "need each other"),
      (["--guest-initrd", "/a"], 64, "need each other"), (["--guest-marker", "x"], 64, "needs"),
      (["--guest-kernel", "", "--guest-initrd", "/a"], 64, "is empty"),
      (["--guest-kernel", "/a", "--guest-initrd", "/a", "--guest-marker", "a b"], 64, "spaces"),
      (["--guest-kernel", "/a", "--guest-initrd", "/a", "-m", "3M"], 64, "32 MiB"),
      (["--guest-kernel", "/a", "--guest-initrd", "/a", "--accel", "a,b"], 64, "accelerator"),
      (["--guest-kernel", "/a", "--guest-initrd", "/a", "--qemu", "kvm"], 64, "begins with qemu"),
      (["--guest-kernel", "/a", "--guest-initrd", "/a", "--mount", ""], 64, "is empty"),
      (
        ["--guest-kernel", "/a", "--guest-initrd", "/a", "--mount", "/a", "--reserve-hugepages"],
        64,
        "cannot be combined"
      ),
      (
        ["--guest-kernel", "/a", "--guest-initrd", "/a", "--qemu", "/missing/qemu"], 1,
        "apt-get install qemu-system-x86, or --qemu <program>"
      ),
    ] as [([String], Int32, String)])
  func `bad input is an error`(words: [String], status: Int32, text: String) throws {
    let outcome = try HoldfastProgram(["bench", "boot"] + words).wait()
    #expect(outcome.status == status && outcome.error.contains(text), "\(outcome)")
  }

  @Test func `files and folders that are missing are errors`() throws {
    for (words, text) in [
      (["--guest-kernel", "/missing"], "the kernel /missing cannot be read"),
      (["--guest-initrd", "/missing"], "the initial file system /missing cannot be read"),
      (["--mount", "/missing"], "cannot be created"), (["--mount", "/proc"], "cannot be created"),
    ] {
      let outcome = try place.run(.memory, words).wait()
      outcome.expectFailure(1, text)
    }
  }

  /// The options of the guest are those of `bench all` too.
  @Test(arguments: [
    (["--guest-kernel", "/a"], "need each other"), (["--guest-marker", "x"], "needs"),
    (["--accel", ""], "accelerator"),
  ])
  func `bench all checks the guest's options`(_ words: [String], _ text: String) throws {
    let outcome = try HoldfastProgram(["bench", "all"] + words).wait()
    #expect(outcome.status == 64 && outcome.error.contains(text), "\(outcome)")
  }
}

/// Empty folders for `bench boot`, and a monitor.
final class BootPlace {
  enum Kind: String {
    case memory, disk
  }

  /// The path of the monitor.
  let monitor: String
  private let template: TemplatePlace
  private let memory: HoldfastTestKit.TemplatePlace
  private let disk: String

  init() throws {
    template = try TemplatePlace(.disk)
    let memory = HoldfastTestKit.TemplatePlace(.tmpfs)
    self.memory = try #require(memory)
    monitor = template.work + "/qemu-stub"
    disk = template.path
  }

  private func path(_ kind: Kind) -> String { kind == .disk ? disk : memory.path }

  func names(_ kind: Kind) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: path(kind))) ?? [])
      .filter { $0 != "holdfast" }
  }

  func monitors() -> [pid_t] { template.monitors() }

  func run(_ kind: Kind, _ words: String...) throws -> HoldfastProgram { try run(kind, words) }

  /// Starts the benchmark; later words replace earlier ones.
  func run(_ kind: Kind, _ words: [String]) throws -> HoldfastProgram {
    try HoldfastProgram(
      [
        "bench", "boot", "--guest-kernel", monitor, "--guest-initrd", monitor, "-m", "32M",
        "--qemu", monitor, "--mount", path(kind),
      ] + words)
  }
}
