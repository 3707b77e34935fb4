import Foundation
import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

/// A reservoir on a file system of its own, whose service, owner and members are killed at random
/// moments of what they do at the same time.
final class StressWorld {
  let served: ServedPlace
  var random: SeededGenerator
  var ledger = LeaseLedger()
  /// The number of programs that were killed, services among them.
  var killed = 0

  /// nobody and daemon, in the reservoir's group.
  let members: [UInt32] = [65534, 1]
  private static let group = "65534"
  /// The time that the program takes to start.
  let beginning: Duration
  let scene: String
  /// The Python programs.
  let memberText: String
  let monitorText: String

  var place: ReservoirPlace { served.place }

  init(fileSystem: String, random: SeededGenerator) throws {
    served = try ServedPlace(
      fileSystem: fileSystem, size: 96 << 20, options: ["--group", Self.group])
    self.random = random
    scene = "/tmp/holdfast-stress-\(UUID())"
    try #require(mkdir(scene, 0o777) == 0 && chmod(scene, 0o777) == 0)
    memberText = try Attack.text("member")
    monitorText = try Attack.text("monitor")
    let start = ContinuousClock.now
    _ = try HoldfastProgram.run("--version")
    beginning = ContinuousClock.now - start
  }

  deinit { try? FileManager.default.removeItem(atPath: scene) }

  func require(_ condition: Bool, _ problem: @autoclosure () -> String) throws {
    if !condition { throw LeaseLedger.Problem(description: problem()) }
  }

  func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &random) == 0 }

  func random(upTo time: Duration) -> Duration {
    time * Double.random(in: 0...1, using: &random)
  }

  func setpriv(_ user: UInt32) -> [String] {
    ["setpriv", "--reuid", "\(user)", "--regid", Self.group, "--clear-groups"]
  }

  /// Starts the program as a user, in the process of the object.
  func start(_ words: [String], as user: UInt32) throws -> HoldfastProgram {
    let command = (user == 0 ? [] : setpriv(user)) + [HoldfastProgram.path]
    return try HoldfastProgram(place.arguments(words), command: command)
  }

  /// What happens at a time of a round.
  private struct Event {
    let time: Duration
    let action: () throws -> Void
  }

  private var events: [Event] = []
  /// What happens after the last event.
  private var ends: [() throws -> Void] = []
  /// The leases that one program of the round may end, as user and name.
  var taken: Set<String> = []
  /// What the round's monitors note, and whose they are.
  var monitors: [(log: String, user: UInt32)] = []

  /// One round: members and the owner do things at the same time, and some of them and the service
  /// are killed in the middle.
  func round(_ number: Int) throws {
    let length = beginning * 4 + .milliseconds(120)
    taken = []
    // They refer to the object, whose end removes the mount.
    defer { (events, ends) = ([], []) }
    if served.program == nil { try startService() }
    for user in members { member(user, number, length) }
    for part in 0..<Int.random(in: 2...5, using: &random) {
      command("c\(number)x\(part)", at: random(upTo: length))
    }
    if chance(2) { run("run\(number)", at: random(upTo: length / 2), length) }
    for _ in 0..<Int.random(in: 0...2, using: &random) {
      at(random(upTo: length)) { [self] in
        stopService()
        try startService()
      }
    }
    let start = ContinuousClock.now
    for event in events.sorted(by: { $0.time < $1.time }) {
      let left = event.time - (ContinuousClock.now - start)
      if left > .zero { usleep(UInt32(left.nanoseconds / 1000)) }
      try event.action()
    }
    for end in ends { try end() }
    // It may be in the middle of a fill.
    stopService()
    try check()
  }

  func at(_ time: Duration, _ action: @escaping () throws -> Void) {
    events.append(Event(time: time, action: action))
  }

  private func stopService() {
    guard served.program != nil else { return }
    served.stopAtOnce()
    killed += 1
    ledger.count("serve")
  }

  private func startService() throws {
    let reuse = ["fresh", "scrub", "release"].randomElement(using: &random)!
    try served.configure(
      "[level]\nfiles = 4x4M\n[level]\nfiles = 2x8M\n[limits]\nfiles = 3\nrequests = 16\n"
        + "[collect]\ninterval = 0.1\nreuse = \(reuse)\n",
      head: "interval = 0.1\npriority = normal\n")
    try served.start(command: [HoldfastProgram.path])
  }

  /// Starts a program at a time, and may kill it within another.
  func launch(
    at time: Duration, within length: Duration, _ start: @escaping () throws -> HoldfastProgram,
    _ end: @escaping (HoldfastProgram.Outcome) throws -> Void
  ) {
    var program: HoldfastProgram?
    at(time) { program = try start() }
    if chance(2) { at(time + random(upTo: length)) { program?.send(SIGKILL) } }
    ends.append { [self] in
      let outcome = try program!.wait()
      if outcome.signal == SIGKILL { killed += 1 }
      try end(outcome)
    }
  }
}
