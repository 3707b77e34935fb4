import Foundation
import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

/// Templates whose commands and monitors are killed, and what must be there nevertheless.
struct TemplateCrashWorld {
  let place: TemplatePlace
  private var random: SeededGenerator
  /// The number of processes that were killed before their end.
  private(set) var killed = 0
  private(set) var outcomes: [String: Int] = [:]
  /// The number of clones that were noted as running, and did not.
  private var notedEarly = 0
  /// The templates, with hashes of their memory.
  private var templates: [String: Int] = [:]
  /// The duration of each command, so that kills are spread over all of it.
  private var durations: [String: Duration] = [:]
  /// The time that the program takes to start.
  private let beginning: Duration

  struct Problem: Error, CustomStringConvertible {
    let description: String
  }

  init(place: TemplatePlace, random: SeededGenerator) throws {
    let start = ContinuousClock.now
    _ = try HoldfastProgram.run("--version")
    beginning = ContinuousClock.now - start
    self.place = place
    self.random = random
    try place.get("template", "list")
  }

  mutating func step(_ round: Int) throws {
    let kinds = ["create", "monitor", "seal", "seal", "sealed monitor", "run", "clone", "remove"]
    let kind = templates.count > 2 ? "remove" : kinds.randomElement(using: &random)!
    do {
      switch kind {
      case "create", "monitor": try create("t\(round)", killsMonitor: kind == "monitor")
      case "run", "clone": try run("t\(round)", "c\(round)", killsMonitor: kind == "clone")
      case "remove": try remove("t\(round)")
      default: try seal("t\(round)", killsMonitor: kind == "sealed monitor")
      }
      try check()
    } catch {
      throw Problem(description: "\(kind): \(error)")
    }
  }

  /// Removes all, after which the mount is as it was.
  mutating func end() throws {
    for name in templates.keys.sorted() {
      try place.get("template", "remove", name, "--release")
      templates[name] = nil
    }
    if place.kind != .disk { try place.get("reservoir", "drain") }
    let left = try Self.files(place)
    try require(left.isEmpty, "\(left) are left")
    try require(place.kind != .hugetlbfs || place.usedBytes == 0, "\(place.usedBytes) are used")
  }

  // MARK: Kills

  /// Kills `create`, or the monitor that it starts.
  private mutating func create(_ name: String, killsMonitor: Bool) throws {
    try fillUp()
    let start = ContinuousClock.now
    let program = try startMachine(name)
    let usual = durations["create"]
    if let usual {
      pause(between: beginning * (killsMonitor ? 1 : 0.8), and: usual * 1.2)
    } else {
      try wait(for: "starts", in: place.machineLog(name), program)
      durations["create"] = ContinuousClock.now - start
    }
    if killsMonitor {
      killMonitors()
      // One that starts late.
      if !eventually(
        within: .milliseconds(300), { kill(program.process, 0) != 0 || isZombie(program) })
      {
        killMonitors()
        program.send(SIGTERM)
      }
    } else {
      program.send(SIGKILL)
    }
    count(killsMonitor ? "monitor" : "create", try program.wait())
    if !killsMonitor, Bool.random(using: &random) {
      // A machine goes on, and can be sealed if its monitor was noted.
      let isRunning = try place.list().contains { $0.hasPrefix("\(name) running") }
      if isRunning, try place.run(["template", "seal", name]).status == 0 {
        try accept(name)
      }
    }
    killMonitors()
  }

  private func isZombie(_ program: HoldfastProgram) -> Bool {
    let text = (try? String(contentsOfFile: "/proc/\(program.process)/stat", encoding: .utf8)) ?? ""
    return text.contains(") Z ")
  }

  /// Kills `seal`, or the monitor that is sealed, and at times the `create` that waits for its end.
  private mutating func seal(_ name: String, killsMonitor: Bool) throws {
    try fillUp()
    let machine = try startMachine(name)
    try wait(for: "starts", in: place.machineLog(name), machine)
    try noted(name)
    let isAlone = Bool.random(using: &random)
    if isAlone {
      machine.send(SIGKILL)
      _ = try machine.wait()
    }
    let outcome = try cut(["template", "seal", name], killsMonitor ? "seal, monitor" : "seal") {
      killsMonitor ? { place in for one in place.monitors() { kill(one, SIGKILL) } } : nil
    }
    if killsMonitor {
      if !isAlone { _ = try machine.wait() }
      killMonitors()
    }
    // A command completes it or removes what is left, perhaps once the monitor has gone.
    var rows = try place.list()
    if killsMonitor {
      _ = try eventually(within: .seconds(20)) {
        rows = try place.list()
        return !rows.contains { $0.hasPrefix("\(name) running") }
      }
    }
    if rows.contains(where: { $0.hasPrefix("\(name) running") }) {
      try require(!killsMonitor, "the draft of a dead monitor is left")
      // It is sealed by the next attempt.
      let again = try place.run(["template", "seal", name])
      try require(again.status == 0 && again.error.isEmpty, "not sealed again: \(again)")
    }
    let isSealed = try place.list().contains { $0.hasPrefix("\(name) sealed") }
    try require(isSealed || killsMonitor, "the template is lost: \(rows)")
    try require(isSealed || outcome != 0, "a template that was sealed is not there")
    if !killsMonitor, !isAlone {
      let status = try machine.wait().status
      try require(status == 0, "create ended with \(status ?? -1)")
    }
    if isSealed { try accept(name) }
  }

  /// Kills `run`, or one of the clones that it starts.
  private mutating func run(_ name: String, _ clone: String, killsMonitor: Bool) throws {
    if templates.isEmpty { try makeTemplate(name) }
    let template = templates.keys.sorted().randomElement(using: &random)!
    let words = ["run", "--template", template, "--count", "2", "--name", clone]
    let start = ContinuousClock.now
    let program = try place.start(words + place.monitor())
    let (first, second) = ("\(clone)-0", "\(clone)-1")
    if let usual = durations["run"] {
      pause(between: beginning * 0.8, and: usual * 1.1)
    } else {
      try wait(for: "running", in: first, program)
      try wait(for: "running", in: second, program)
      durations["run"] = ContinuousClock.now - start
    }
    if killsMonitor {
      if let one = place.monitors().randomElement(using: &random) {
        kill(one, SIGKILL)
        killed += 1
      }
      // The other one goes on, and is ended by a signal.
      _ = eventually(within: .milliseconds(200)) { place.monitors().isEmpty }
      program.send(SIGTERM)
      let outcome = try program.wait()
      try require(outcome.status != 0, "\(outcome)")
      count("clone", outcome)
      try require(place.monitors().isEmpty, "a clone has outlived the run")
    } else {
      program.send(SIGKILL)
      count("run", try program.wait())
      // Those whose guests ran go on; the others are ended by the next command.
      let rows = try place.list()
      let isSettled = eventually(within: .seconds(20)) {
        place.monitors().allSatisfy { process in
          // A kill between the note and the command leaves a monitor that is listed and does not run.
          isNotedAsRunning(process, template)
            || [first, second].contains { clone in place.hasRun(process, in: clone) }
        }
      }
      try require(isSettled, "a clone waits for a state that never comes: \(rows)")
      let running = place.monitors().count
      notedEarly += place.monitors().count { process in
        ![first, second].contains { clone in place.hasRun(process, in: clone) }
      }
      // The time between the note and the command is some microseconds of the whole.
      try require(notedEarly <= 1, "clones are noted as running that do not")
      let noted = try place.list().first { $0.hasPrefix("\(template) ") }
      try require(
        noted == "\(template) sealed 4194304 \(running)",
        "\(running) clones run, and the list has \(noted ?? "nothing")")
      if running > 0 {
        let outcome = try place.run(["template", "remove", template])
        try require(outcome.status == 1, "a template with clones was removed")
      }
    }
    killMonitors()
  }

  private func isNotedAsRunning(_ process: pid_t, _ template: String) -> Bool {
    place.names("sealed/\(template)/clones").contains {
      $0.contains("@\(process).") && !$0.contains("!")
    }
  }

  private mutating func remove(_ name: String) throws {
    if templates.isEmpty { try makeTemplate(name) }
    let template = templates.keys.sorted().randomElement(using: &random)!
    let outcome = try cut(["template", "remove", template], "remove") { nil }
    let isLeft = try place.list().contains { $0.hasPrefix("\(template) ") }
    try require(!isLeft || outcome != 0, "a template that was removed is there")
    if !isLeft { templates[template] = nil }
  }

  // MARK: Steps

  private mutating func makeTemplate(_ name: String) throws {
    try fillUp()
    let machine = try startMachine(name)
    try wait(for: "starts", in: place.machineLog(name), machine)
    try noted(name)
    let start = ContinuousClock.now
    try place.get("template", "seal", name)
    durations["seal"] = ContinuousClock.now - start
    _ = try machine.wait()
    try accept(name)
  }

  private func startMachine(_ name: String) throws -> HoldfastProgram {
    try place.start(["template", "create", name, "-m", "4M"] + place.monitor())
  }

  private func noted(_ name: String) throws {
    let isNoted = eventually(within: .seconds(20)) {
      place.names("drafts/\(name)").contains { $0.hasPrefix("monitor@") }
    }
    try require(isNoted, "the monitor was not noted")
  }

  /// Takes a template over, whose memory and state fit: a clone of it loads them, and goes on from
  /// the counter of the last stop.
  private mutating func accept(_ name: String) throws {
    let clone = "verify-\(name)"
    let outcome = try place.run(
      ["run", "--template", name, "--name", clone] + place.monitor("quit=0"))
    try require(outcome.status == 0 && outcome.error.isEmpty, "\(name) is not complete: \(outcome)")
    let stopped = place.number("stopped", in: place.machineLog(name))
    try require(
      stopped != nil && place.number("running", in: clone) == stopped,
      "\(name) was stopped at \(stopped ?? -1)")
    templates[name] = place.contents("memory", of: name)
  }

  /// Runs a command and kills it, or what `other` does, at a random time, unless it is the first of
  /// its kind.
  private mutating func cut(
    _ words: [String], _ kind: String, _ other: () -> ((TemplatePlace) -> Void)?
  ) throws -> Int32? {
    let start = ContinuousClock.now
    let program = try place.start(words)
    let usual = durations[kind] ?? durations[words[1]]
    if let usual {
      pause(between: min(usual, beginning * 0.8), and: usual * 1.1)
      if let other = other() {
        other(place)
        killed += 1
      } else {
        program.send(SIGKILL)
      }
    }
    let outcome = try program.wait()
    if outcome.signal == nil, outcome.status == 0 { durations[kind] = ContinuousClock.now - start }
    count(kind, outcome)
    return outcome.status
  }

  private mutating func count(_ kind: String, _ outcome: HoldfastProgram.Outcome) {
    if outcome.signal == SIGKILL { killed += 1 }
    outcomes[kind + (outcome.signal == nil ? " \(outcome.status ?? -1)" : " killed"), default: 0] +=
      1
  }

  private func fillUp() throws {
    if place.kind == .disk { return }
    try place.run(["reservoir", "gc"])
    if place.reservoirNames("ready").isEmpty { try place.get("reservoir", "fill", "1x4M") }
  }

  private func killMonitors() {
    for process in place.monitors() { kill(process, SIGKILL) }
    _ = eventually(within: .seconds(20)) { place.monitors().isEmpty }
  }

  private mutating func pause(between first: Duration, and last: Duration) {
    let length = max(.zero, last - first)
    usleep(UInt32((first + length * Double.random(in: 0...1, using: &random)).nanoseconds / 1000))
  }

  private func wait(for word: String, in log: String, _ program: HoldfastProgram) throws {
    let hasCome = eventually(within: .seconds(30)) { place.log(log).contains(word) }
    try require(hasCome, "'\(word)' is not in the log of \(log): \(program.errorSoFar)")
  }

  private func require(_ condition: Bool, _ problem: @autoclosure () -> String) throws {
    if !condition { throw Problem(description: problem()) }
  }

  // MARK: The state

  /// Accounts for all files, when no process runs any more.
  private mutating func check() throws {
    killMonitors()
    var rows = try place.list()
    // The kernel may still free what the processes had.
    _ = try eventually(within: .seconds(20)) {
      rows = try place.list()
      return rows.allSatisfy { $0.hasSuffix(" sealed 4194304 0") }
    }
    let expected = templates.keys.sorted().map { "\($0) sealed 4194304 0" }
    try require(rows.sorted() == expected, "\(rows) are listed, and \(expected) expected")
    try require(place.names("drafts").isEmpty, "drafts: \(place.names("drafts"))")
    for (name, hash) in templates {
      try require(place.contents("memory", of: name) == hash, "the memory of \(name) has changed")
      // hugetlbfs has no holes, so nothing notes where they are. A seal that was killed at its end
      // leaves the file of its lock.
      let files = Set(place.names("sealed/\(name)")).subtracting(["touched", "data", "sealing"])
      try require(
        files == ["about", "clones", "memory", "state"],
        "\(name) has the files \(files.sorted())")
      let notes = place.names("sealed/\(name)/clones")
      try require(notes.isEmpty, "\(name) has the clones \(notes)")
    }
    if place.kind == .disk { return }
    try eventuallyCollected()
    for folder in ["filling", "leased/\(geteuid())"] {
      let names = place.reservoirNames(folder)
      try require(names.isEmpty, "\(names) in \(folder)")
    }
    guard place.kind == .hugetlbfs else { return }
    let used = try Self.sizes(place)
    try require(place.usedBytes == used, "\(place.usedBytes) bytes are used, \(used) accounted for")
  }

  private func eventuallyCollected() throws {
    let end = ContinuousClock.now + .seconds(30)
    var text = ""
    repeat {
      text = try place.get("reservoir", "gc", "--verify")
      try require(ContinuousClock.now < end, "a process is still running: \(text)")
    } while text.contains(" in use left alone")
  }

  /// The paths of all files below the folder of the mount, without folders.
  private static func files(_ place: TemplatePlace) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: place.path).map { place.path + "/" + $0 }
      .filter { path in
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFDIR
      }
  }

  /// The bytes of the huge pages that the files of the mount have.
  private static func sizes(_ place: TemplatePlace) throws -> Int {
    try files(place).reduce(0) { sum, path in
      var status = stat()
      return lstat(path, &status) == 0 ? sum + Int(status.st_blocks) * 512 : sum
    }
  }
}
