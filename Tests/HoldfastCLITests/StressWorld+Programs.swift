import Foundation
import Glibc
import HoldfastCore
import HoldfastTestKit

extension StressWorld {
  /// A member whose program sends many requests.
  func member(_ user: UInt32, _ number: Int, _ length: Duration) {
    let log = scene + "/member\(user).\(number)"
    let leases = ledger.leases(of: user).filter { _ in chance(2) }
    for name in leases { taken.insert("\(user)/\(name)") }
    let words =
      [log, place.file("socket"), place.file("leased/\(user)"), "m\(number)", "10"] + leases
    launch(at: .zero, within: length) { [self] in
      try HoldfastProgram(words, command: setpriv(user) + ["/usr/bin/python3", "-ISc", memberText])
    } _: { [self] outcome in
      try ledger.read((try? String(contentsOfFile: log, encoding: .utf8)) ?? "", of: user)
      unlink(log)
      try require(outcome.status ?? 0 == 0, "user \(user): \(outcome)")
    }
  }

  /// A command of the owner or of a member.
  func command(_ name: String, at time: Duration) {
    let user = chance(3) ? members.randomElement(using: &random)! : 0
    let reuse = ["fresh", "scrub", "release"].randomElement(using: &random)!
    switch Int.random(in: 0..<8, using: &random) {
    case 0...1: lease(name, user, at: time)
    case 2...4:
      let holder = user == 0 && chance(3) ? members.randomElement(using: &random)! : user
      guard
        let lease = ledger.leases(of: holder).first(where: { !taken.contains("\(holder)/\($0)") })
      else { return self.lease(name, user, at: time) }
      let words =
        user == 0 && chance(2) ? ["recycle", lease, "--reuse", reuse] : ["release", lease]
      end(lease, holder, words + (holder == user ? [] : ["--user", "\(holder)"]), user, at: time)
    case 5: perform("status", ["reservoir", "status", "--leases"], user, at: time)
    case 6:
      perform("gc", ["reservoir", "gc", "--verify", "--reuse", reuse], 0, at: time)
    default:
      let words = chance(4) ? ["drain"] : ["fill", "3x4M", "1x8M"]
      perform(words[0], ["reservoir"] + words, 0, at: time)
    }
  }

  private func perform(
    _ kind: String, _ words: [String], _ user: UInt32, at time: Duration,
    _ end: @escaping (HoldfastProgram.Outcome) throws -> Void = { _ in }
  ) {
    ledger.count(kind)
    // Most of a short command's time is that of the program's start.
    launch(at: time, within: beginning * 2.5) { [self] in
      try start(words, as: user)
    } _: { [self] outcome in
      // A collection names what it could not collect, which other commands may have moved.
      try require(outcome.status.map { [0, 1].contains($0) } ?? true, "\(words): \(outcome)")
      try end(outcome)
    }
  }

  private func lease(_ name: String, _ user: UInt32, at time: Duration) {
    let size = ["4M", "8M", "12M"].randomElement(using: &random)!
    ledger[user, name] = LeaseLedger.Entry()
    let words = ["reservoir", "lease", "-m", size, "--grow", "--name", name]
    perform("lease", words, user, at: time) { [self] outcome in
      if outcome.status == 0 {
        ledger.count("told")
        ledger[user, name]?.isCertain = true
        let memory = try StressMemory(place.file("leased/\(user)/\(name)"))
        try require(memory.isZero, "\(name) is not zero when it is leased")
        memory.mark(name)
        ledger[user, name]?.isMarked = true
      } else if user == 0, outcome.status != nil {
        ledger[user, name] = nil
      }
    }
  }

  private func end(
    _ name: String, _ holder: UInt32, _ words: [String], _ user: UInt32, at time: Duration
  ) {
    taken.insert("\(holder)/\(name)")
    ledger[holder, name]?.isCertain = false
    perform(words[0], ["reservoir"] + words, user, at: time) { [self] outcome in
      if outcome.status == 0 { ledger[holder, name] = nil }
      try require(!outcome.error.contains("no lease"), "user \(holder): \(name): \(outcome)")
    }
  }

  /// A monitor, which lives longer than the holdfast that started it, or not.
  func run(_ name: String, at time: Duration, _ length: Duration) {
    let user = chance(2) ? 0 : members.randomElement(using: &random)!
    let reuse = ["fresh", "scrub", "release"].randomElement(using: &random)!
    let (log, flag) = ("\(scene)/\(name)", "\(scene)/\(name).flag")
    ledger[user, name + ".run"] = LeaseLedger.Entry()
    ledger.count("run")
    monitors.append((log, user))
    let isKilled = chance(2)
    let words =
      [
        "run", "-m", "4M", "--wait", "0.2", "--reuse", reuse, "--name", name, "--",
        "/usr/bin/python3", "-ISc",
      ]
      + [monitorText, log, name, flag, "{memory}", "{fd}"]
    at(time + length) { [self] in
      let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
      if isKilled,
        let words = text.split(separator: "\n").first(where: { $0.hasPrefix("process ") }),
        let process = pid_t(words.dropFirst(8))
      {
        Glibc.kill(process, SIGKILL)
        killed += 1
      }
      // One that starts late sees it too.
      try require(FileManager.default.createFile(atPath: flag, contents: nil), "no \(flag)")
    }
    launch(at: time, within: length) { [self] in
      try start(words, as: user)
    } _: { _ in
    }
  }
}
