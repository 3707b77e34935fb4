import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

/// Monitors that do not do what they should, while they are sealed and as clones.
@Suite(.enabled(if: HostNeeds.python, "\(TemplatePlace.needs)"))
struct TemplateFaultTests {}

extension TemplateFaultTests {
  /// A machine that cannot be sealed goes on as before.
  @Test(arguments: [
    ("refuse=query-version", "QEMU says: State blocked by a device of query-version"),
    ("refuse=stop", "QEMU says: State blocked by a device of stop"),
    ("refuse=migrate-set-capabilities", "QEMU says: State blocked"),
    ("refuse=getfd", "QEMU says: State blocked by a device of getfd"),
    ("refuse=migrate", "QEMU says: State blocked by a device of migrate"),
    ("fail=migrate", "QEMU says: the device failed to save its state"),
    ("late", "the monitor does not answer"),
    ("nonsense=greeting", "what the monitor answers is not QMP"),
    ("nonsense=query-migrate", "what the monitor answers is not QMP"),
  ])
  func aMachineThatCannotBeSealed(_ fault: String, _ words: String) throws {
    let place = try TemplatePlace()
    let machine = try place.create("base", place.monitor(fault))
    try place.run(["template", "seal", "base", "--timeout", "0.3"]).expectFailure(1, words)
    #expect(try place.list() == ["base running - -"])
    let left = place.names("drafts/base").filter { !$0.hasPrefix("monitor@") }
    #expect(left.allSatisfy { ["qmp", "sealing"].contains($0) }, "\(left)")
    // Its guest runs: it writes. Another process reads, since a file that this one has open is open
    // for a moment in every program that another test starts, and is not made ready again then.
    let path = place.path + "/holdfast/leased/0/template-base.run"
    func firstBytes() throws -> String {
      try HoldfastProgram([path], command: ["od", "-An", "-tx1", "-N8"]).wait().output
    }
    let before = try firstBytes()
    try #require(!before.isEmpty)
    #expect(try eventually(within: .seconds(20)) { try firstBytes() != before })
    machine.send(SIGTERM)
    let ended = try machine.wait()
    #expect(ended.status == 143)
    #expect(try place.list() == [], "\(ended)")
    #expect(try place.rows() == ["4M 1 0 0"], "\(ended)")
  }

  /// A monitor that ends while it is sealed leaves no template.
  @Test(arguments: ["greeting", "query-version", "stop", "migrate", "query-migrate"])
  func aMachineThatEnds(_ command: String) throws {
    let place = try TemplatePlace()
    let machine = try place.create("base", place.monitor("die=\(command)"))
    try place.run(["template", "seal", "base"]).expectFailure(1, "the monitor has ended")
    #expect(try machine.wait().status == 1)
    #expect(try place.list() == [])
    #expect(try place.rows() == ["4M 1 0 0"])
    #expect(place.names("drafts") == [])
  }

  @Test func aMonitorThatMapsTheMemoryPrivately() throws {
    let place = try TemplatePlace()
    let machine = try place.create("base", place.monitor(share: "off"))
    try place.run(["template", "seal", "base"]).expectFailure(
      1, "maps the memory privately, so the file lacks what the guest wrote")
    machine.send(SIGTERM)
    #expect(try machine.wait().status == 143)
  }

  /// The state of a machine is nothing without its memory.
  @Test func aMachineThatDoesNotMapTheMemory() throws {
    let place = try TemplatePlace()
    let machine = try place.create("base", place.monitor("unmapped"))
    try place.run(["template", "seal", "base"]).expectFailure(1, "does not map the memory")
    #expect(try place.list() == ["base running - -"])
    machine.send(SIGTERM)
    #expect(try machine.wait().status == 143)
  }

  /// A clone that cannot be started is ended, and the others go on.
  @Test(arguments: [
    ("shared", "maps the memory shared, so the guest would write to the template"),
    ("unmapped", "does not map the template's memory"),
    ("refuse=migrate-incoming", "QEMU says: State blocked by a device of migrate-incoming"),
    ("refuse=cont", "QEMU says: State blocked by a device of cont"),
    ("fail=incoming", "QEMU says: Unknown savevm section 'stub'"),
    ("nonsense=greeting", "what the monitor answers is not QMP"),
    ("nonsense=migrate-incoming", "what the monitor answers is not QMP"),
    ("die=greeting", "the monitor has ended before the guest ran"),
    ("die=getfd", "the monitor has ended before the guest ran"),
    ("die=query-migrate", "the monitor has ended before the guest ran"),
    ("end=7", "the monitor has ended before the guest ran"),
    ("end=0", "the monitor has ended before the guest ran"),
  ])
  func aCloneThatCannotStart(_ fault: String, _ words: String) throws {
    let place = try TemplatePlace()
    try place.makeTemplate()
    let before = place.contents("memory")
    let good = try place.clones("good", count: 2)
    let receipts = place.work + "/receipts"
    try place.run(
      ["run", "--template", "base", "--name", "bad", "--receipts", receipts] + place.monitor(fault)
    ).expectFailure(1, words)
    #expect(place.contents("memory") == before)
    #expect(!place.log("bad").contains("running"))
    #expect(try String(contentsOfFile: receipts, encoding: .utf8) == "")
    #expect(try place.list() == ["base sealed 4194304 2"])
    #expect(place.monitors().count == 2)
    good.send(SIGTERM)
    #expect(try good.wait().status == 143)
    #expect(place.names("sealed/base/clones") == [])
    try place.get("template", "remove", "base")
  }

  /// QEMU's own words stand above the line.
  @Test func aCloneThatEndsItself() throws {
    let place = try TemplatePlace()
    try place.makeTemplate()
    let outcome = try place.run(
      ["run", "--template", "base", "--name", "bad"] + place.monitor("exit,fail=incoming"))
    let lines = outcome.error.split(separator: "\n")
    #expect(outcome.status == 1 && outcome.output.isEmpty && lines.count == 2, "\(outcome)")
    #expect(lines[0] == "qemu-stub: load of migration failed: Unknown savevm section 'stub'")
    #expect(
      lines.last?.hasPrefix(
        "holdfast: error: cannot start the clone 'bad': the monitor has ended before the guest ran; "
          + "try: see what the monitor said above") == true, "\(outcome)")
  }

  /// A command that has stopped with the lock of the folder of clones hides none of them.
  @Test func clonesAreListedWithoutTheirLock() throws {
    let place = try TemplatePlace()
    try place.makeTemplate()
    let clone = try place.clones()
    let folder = open(place.file("sealed/base/clones"), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    try #require(folder >= 0 && flock(folder, LOCK_EX) == 0)
    #expect(try place.list() == ["base sealed 4194304 1"])
    close(folder)
    clone.send(SIGTERM)
    _ = try clone.wait()
    #expect(try place.list() == ["base sealed 4194304 0"])
  }

  @Test func anotherVersionOfTheMonitor() throws {
    let place = try TemplatePlace()
    try place.makeTemplate()
    try place.run(
      ["run", "--template", "base", "--name", "bad"] + place.monitor("version=8.1.0,fail=incoming")
    ).expectFailure(
      1,
      "Unknown savevm section 'stub'; it is version 8.1.0, and the template was made by 7.2.22; "
        + "try: QEMU 7.2.22")
    // The monitor itself decides whether it can load the state.
    let clone = try place.clones("vm", place.monitor("version=8.1.0"))
    clone.send(SIGTERM)
    #expect(try clone.wait().status == 143)
  }

  /// Among many, the ones that work go on until they end.
  @Test func someOfTheClonesFail() throws {
    let place = try TemplatePlace()
    try place.makeTemplate()
    let words = place.monitor()
    let script = "case {id} in 1) set -- \"$@\" -faults fail=incoming;; esac; exec \"$@\""
    // A shell whose name begins as QEMU's.
    try FileManager.default.createSymbolicLink(
      atPath: place.work + "/qemu-sh", withDestinationPath: "/bin/sh")
    let program = try place.start(
      [
        "run", "--template", "base", "--name", "vm", "--count", "3", "--", place.work + "/qemu-sh",
        "-c", script, "sh",
      ] + words.dropFirst())
    #expect(eventually { ["vm-0", "vm-2"].allSatisfy { place.log($0).contains("running") } })
    #expect(eventually { program.errorSoFar.contains("cannot start the clone 'vm-1'") })
    #expect(eventually { (try? place.list()) == ["base sealed 4194304 2"] })
    program.send(SIGTERM)
    let outcome = try program.wait()
    #expect(outcome.error.split(separator: "\n").count == 1, "\(outcome)")
    // That of the first clone that failed, in their order.
    #expect(outcome.status == 143, "\(outcome)")
  }

  @Test(arguments: [("quit=0", 0), ("quit=7", 7), ("quit=64", 64)])
  func statuses(_ fault: String, _ status: Int32) throws {
    let place = try TemplatePlace()
    let machine = try place.create("base", place.monitor(fault))
    #expect(try machine.wait().status == status)
    #expect(try place.list() == [])
    #expect(try place.rows() == ["4M 1 0 0"])
    try place.makeTemplate()
    let clone = try place.clones("vm", place.monitor(fault))
    let outcome = try clone.wait()
    #expect(outcome.status == status && outcome.error.isEmpty, "\(outcome)")
    #expect(place.names("sealed/base/clones") == [])
  }

  @Test(arguments: [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR2])
  func passesSignalsOn(_ signal: Int32) throws {
    let place = try TemplatePlace()
    let machine = try place.create()
    machine.send(signal)
    let status: Int32 = signal == SIGINT ? 130 : 128 + signal
    #expect(try machine.wait().status == status)
    #expect(try place.list() == [])
    #expect(try place.rows() == ["4M 1 0 0"])
    try place.makeTemplate()
    let clones = try place.clones("vm", count: 3)
    clones.send(signal)
    #expect(try clones.wait().status == status)
    #expect(place.monitors() == [] && place.names("sealed/base/clones") == [])
  }

  /// A clone whose monitor hangs while it starts ends by a signal, which is no error of the clone.
  @Test(arguments: ["greeting", "migrate-incoming", "query-migrate", "cont"])
  func aCloneThatHangs(_ command: String) throws {
    let place = try TemplatePlace()
    try place.makeTemplate()
    let program = try place.start(
      ["run", "--template", "base", "--name", "vm"] + place.monitor("silent=\(command)"))
    #expect(
      eventually {
        place.log("vm").contains(command == "greeting" ? "starts" : command)
      })
    #expect(try place.list() == ["base sealed 4194304 1"])
    // Another process that starts clones waits for its turn, and takes it afterwards.
    let next = try place.start(["run", "--template", "base", "--name", "next"] + place.monitor())
    program.send(SIGTERM)
    let outcome = try program.wait()
    #expect(outcome.status == 143 && outcome.error.isEmpty, "\(outcome)")
    #expect(eventually { place.log("next").contains("running") })
    next.send(SIGTERM)
    #expect(try next.wait().status == 143)
    #expect(place.names("sealed/base/clones") == [])
  }

  /// A monitor that ignores SIGTERM is ended by SIGKILL of its own, and its memory returns.
  @Test func aMonitorThatIgnoresSignals() throws {
    let place = try TemplatePlace()
    let machine = try place.create("base", place.monitor("deaf"))
    machine.send(SIGTERM)
    try place.get("template", "seal", "base")
    #expect(try machine.wait().status == 0)
    let clone = try place.clones("vm", place.monitor("deaf"))
    clone.send(SIGTERM)
    for process in place.monitors() { kill(process, SIGKILL) }
    #expect(try clone.wait().status == 137)
    try place.get("template", "remove", "base")
  }

  /// kill -9 of holdfast leaves the monitors, whose clones are still the template's.
  @Test func theClonesGoOnWhenHoldfastIsKilled() throws {
    let place = try TemplatePlace()
    try place.makeTemplate()
    let clones = try place.clones("vm", count: 2)
    // Until it has noted that their guests run, they need holdfast.
    #expect(eventually { !place.names("sealed/base/clones").contains { $0.contains("!") } })
    clones.send(SIGKILL)
    _ = try clones.wait()
    #expect(try place.list() == ["base sealed 4194304 2"])
    try place.run(["template", "remove", "base"]).expectFailure(
      1, "2 clones run on it: vm-0, vm-1")
    try place.run(["run", "--template", "base", "--name", "vm-0"] + place.monitor()).expectFailure(
      1, "a clone of the template has that name")
    for process in place.monitors() { kill(process, SIGKILL) }
    #expect(eventually { (try? place.list()) == ["base sealed 4194304 0"] })
    try place.get("template", "remove", "base")
    #expect(try place.rows() == ["4M 1 0 0"])
  }

  /// The machine goes on when the holdfast that started it is killed, and can be sealed.
  @Test func theMachineGoesOnWhenHoldfastIsKilled() throws {
    let place = try TemplatePlace()
    let machine = try place.create()
    machine.send(SIGKILL)
    _ = try machine.wait()
    #expect(try place.list() == ["base running - -"])
    try place.get("template", "seal", "base")
    #expect(try place.list() == ["base sealed 4194304 0"] && place.rows() == [])
    #expect(place.names("sealed/base") == ["about", "clones", "data", "memory", "state"])
    let clone = try place.clones()
    clone.send(SIGTERM)
    _ = try clone.wait()
  }

  /// A seal that was killed late has stopped the monitor itself, which does not answer then.
  @Test func aMonitorThatIsStopped() throws {
    let place = try TemplatePlace()
    let machine = try place.create()
    let monitor = try #require(place.monitors().first)
    kill(monitor, SIGSTOP)
    try place.get("template", "seal", "base")
    #expect(try machine.wait().status == 0)
    #expect(try place.list() == ["base sealed 4194304 0"])
  }

  /// Another process than a clone has the memory open.
  @Test func aReaderOfTheMemory() throws {
    let place = try TemplatePlace()
    try place.makeTemplate()
    let file = open(place.file("sealed/base/memory"), O_RDONLY | O_CLOEXEC)
    try place.run(["template", "remove", "base"]).expectFailure(
      1, "another process has its memory open")
    close(file)
    try place.get("template", "remove", "base")
  }
}
