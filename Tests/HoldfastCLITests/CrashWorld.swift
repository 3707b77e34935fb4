import Foundation
import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

/// A reservoir whose commands are killed, and the contents that it must have nevertheless.
struct CrashWorld {
  let place: ReservoirPlace
  /// Whether only the reservoir uses the file system, so that its pages can be counted.
  let countsPages: Bool
  var random: SeededGenerator

  /// The number of commands that were killed before their end.
  private(set) var killed = 0
  private(set) var outcomes: [String: Int] = [:]
  /// The existing leases, with the inodes of their files.
  private var leases: [String: ino_t] = [:]
  /// The duration of each command, so that kills are spread over all of it.
  private var durations: [String: Duration] = [:]
  /// The files whose removal ends the shells of runs.
  private var flags: [String] = []

  struct Problem: Error, CustomStringConvertible {
    let description: String
  }

  /// The time that the program takes to start.
  private let beginning: Duration

  init(place: ReservoirPlace, countsPages: Bool, random: SeededGenerator) throws {
    let start = ContinuousClock.now
    _ = try HoldfastProgram.run("--version")
    beginning = ContinuousClock.now - start
    self.place = place
    self.countsPages = countsPages
    self.random = random
  }

  private var folder: String { "leased/\(geteuid())" }

  mutating func step(_ round: Int) throws {
    let action = ["fill", "lease", "run", "recycle", "release", "run", "fill", "serve"]
      .randomElement(
        using: &random)!
    switch action {
    case "lease" where leases.count < 3:
      try fillUp()
      let size = ["4M", "8M", "16M"].randomElement(using: &random)!
      let name = "vm\(round)"
      let outcome = try cut(["reservoir", "lease", "-m", size, "--grow", "--name", name])
      if let file = try look(folder + "/" + name) {
        leases[name] = file
        try require(try isZero(folder + "/" + name), "\(name) is not zero when it is leased")
        try dirty(folder + "/" + name)
      } else {
        try require(outcome != 0, "a lease that was granted is not there")
      }
    case "recycle" where !leases.isEmpty, "release" where !leases.isEmpty:
      let name = leases.keys.sorted().randomElement(using: &random)!
      let outcome = try cut(["reservoir", action, name])
      let file = try look(folder + "/" + name)
      if let file {
        try require(outcome != 0 && file == leases[name], "\(name) is another file")
      } else {
        leases[name] = nil
      }
    case "run":
      try fillUp()
      try run("run\(round)")
    case "serve":
      try serve("run\(round)")
    default:
      // So that the commands have files to use.
      if Bool.random(using: &random) { try place.run(["reservoir", "drain"]) }
      _ = try cut(["reservoir", "fill", "3x8M", "1x16M"])
    }
    // A collection may be killed as well.
    if Int.random(in: 0..<4, using: &random) == 0 { _ = try cut(["reservoir", "gc", "--verify"]) }
    try check()
  }

  private func require(_ condition: Bool, _ problem: @autoclosure () -> String) throws {
    if !condition { throw Problem(description: problem()) }
  }

  private func fillUp() throws {
    if place.names("ready").count < 2 { try place.run(["reservoir", "fill", "2x8M"]) }
  }

  /// Runs a command and kills it at a random time, unless it is the first of its kind.
  private mutating func cut(_ words: [String]) throws -> Int32? {
    let kind = words.prefix(2).joined(separator: " ")
    let start = ContinuousClock.now
    let program = try place.start(words)
    if let usual = durations[kind] {
      // A short command spends most of its time in the program's start, which is not of interest.
      let first = min(usual, beginning * 0.8)
      pause(first + (usual * 1.1 - first) * Double.random(in: 0...1, using: &random))
      program.send(SIGKILL)
    }
    let outcome = try program.wait()
    if outcome.signal == nil { durations[kind] = ContinuousClock.now - start }
    count(kind, outcome)
    return outcome.status
  }

  private mutating func count(_ kind: String, _ outcome: HoldfastProgram.Outcome) {
    if outcome.signal == SIGKILL { killed += 1 }
    outcomes[kind + (outcome.signal == nil ? " \(outcome.status ?? -1)" : " killed"), default: 0] +=
      1
  }

  /// Kills a monitor, the holdfast that started it, or both.
  private mutating func run(_ name: String) throws {
    // Files on hugetlbfs cannot be written.
    let other = FileManager.default.temporaryDirectory.path + "/holdfast-crash-\(UUID())"
    let flag = other + ".flag"
    let process = other + ".process"
    // A shell that starts late must find its flag, which is removed when no process runs any more.
    flags.append(flag)
    defer { unlink(process) }
    let script =
      "echo $$ > \(process).new; mv \(process).new \(process); "
      + "while [ ! -e \(flag) ]; do sleep 0.002; done"
    let program = try place.start(
      ["run", "-m", "8M", "--name", name, "--", "sh", "-c", script, "{memory}"])
    let usual = durations["run"] ?? .milliseconds(100)
    let early = Int.random(in: 0..<3, using: &random) == 0
    if early { pause(usual * Double.random(in: 0...1, using: &random)) }
    if !early {
      // The monitor uses its memory.
      let start = ContinuousClock.now
      _ = eventually(within: .seconds(20)) { access(process, F_OK) == 0 }
      durations["run"] = ContinuousClock.now - start
      if try look(folder + "/\(name).run") != nil { try dirty(folder + "/\(name).run") }
      if Bool.random(using: &random) {
        try raise(flag)
      } else {
        kill(process)
      }
      pause(.microseconds(Int64.random(in: 0...30_000, using: &random)))
    }
    program.send(SIGKILL)
    count("run", try program.wait())
    if Bool.random(using: &random) {
      // A monitor that continues keeps its lease.
      let file = try look(folder + "/\(name).run")
      let isAlive = access(process, F_OK) == 0 && access(flag, F_OK) != 0
      try place.run(["reservoir", "gc"])
      if early, isAlive, let file {
        try require(try look(folder + "/\(name).run") == file, "a monitor lost its memory")
      }
    }
    try raise(flag)
    kill(process)
    // The monitor's shell may not have written its process ID yet; it sees the flag.
    usleep(3000)
  }

  /// Kills a service that fills while a dead monitor's lease waits to be collected.
  private mutating func serve(_ name: String) throws {
    try fillUp()
    let lease = try cut([
      "run", "-m", "8M", "--name", name, "--", "sh", "-c", "kill -9 $PPID", "{memory}",
    ])
    try require(lease != 0, "a run went on after its end")
    if Bool.random(using: &random) { try place.run(["reservoir", "drain"]) }
    let file = FileManager.default.temporaryDirectory.path + "/holdfast-crash-\(UUID()).conf"
    defer { unlink(file) }
    try """
    [reservoir]
    mount = \(place.path)
    interval = 0.1
    [level]
    files = 3x8M
    [level]
    files = 1x16M
    [collect]
    interval = 0.1
    """.write(toFile: file, atomically: true, encoding: .utf8)
    let program = try HoldfastProgram(["reservoir", "serve", "--config", file])
    pause(beginning * Double.random(in: 0.5...4, using: &random))
    program.send(SIGKILL)
    count("reservoir serve", try program.wait())
  }

  private func raise(_ flag: String) throws {
    try require(
      FileManager.default.createFile(atPath: flag, contents: nil), "\(flag) cannot be made")
  }

  private func kill(_ file: String) {
    guard let text = try? String(contentsOfFile: file, encoding: .utf8),
      let process = pid_t(text.filter(\.isNumber))
    else { return }
    Glibc.kill(process, SIGKILL)
  }

  /// Collects until no process runs any more, and accounts for every file and page.
  private mutating func check() throws {
    let end = ContinuousClock.now + .seconds(30)
    var text = ""
    repeat {
      text = try place.get("reservoir", "gc", "--verify")
      try require(!text.contains("foreign file"), text)
      try require(ContinuousClock.now < end, "a process is still running: \(text)")
    } while text.contains(" in use left alone")
    for flag in flags { unlink(flag) }
    flags = []
    try require(place.names("filling").isEmpty, "filling is not empty")

    var bytes = 0
    var files: Set<ino_t> = []
    let names = place.names(folder)
    try require(names == leases.keys.sorted(), "\(names) are leased, not \(leases.keys.sorted())")
    for name in names {
      let file = try look(folder + "/" + name)
      try require(file == leases[name], "\(name) is another file")
      files.insert(file ?? 0)
      bytes += try size(folder + "/" + name)
    }
    for name in place.names("ready") {
      let path = "ready/" + name
      let size = try size(path)
      try require(name.hasPrefix("\(size >> 20)M-"), "\(name) has \(size) bytes")
      try require(files.insert(try look(path) ?? 0).inserted, "\(name) is leased too")
      try require(try isZero(path), "\(name) is ready and not zero")
      bytes += size
    }
    guard countsPages else { return }
    var status = statvfs()
    try require(statvfs(place.path, &status) == 0, "no statvfs")
    let used = Int(status.f_frsize) * Int(status.f_blocks - status.f_bfree)
    try require(used == bytes, "\(used) bytes are used, \(bytes) accounted for")
  }

  private func look(_ name: String) throws -> ino_t? {
    var status = stat()
    guard lstat(place.file(name), &status) == 0 else { return nil }
    return status.st_ino
  }

  private func size(_ name: String) throws -> Int {
    var status = stat()
    try require(lstat(place.file(name), &status) == 0, "\(name) is not there")
    return status.st_size
  }

  private func isZero(_ name: String) throws -> Bool {
    try mapped(name) { start, length in
      start.load(as: UInt8.self) == 0 && memcmp(start, start + 1, length - 1) == 0
    }
  }

  private func dirty(_ name: String) throws {
    try mapped(name) { start, length in memset(start, 0xA5, length) }
  }

  @discardableResult
  private func mapped<Result>(
    _ name: String, _ body: (UnsafeMutableRawPointer, Int) -> Result
  ) throws -> Result {
    let file = open(place.file(name), O_RDWR | O_CLOEXEC)
    try require(file >= 0, "\(name) cannot be opened: \(errno)")
    defer { close(file) }
    let length = try size(name)
    let start = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
    guard let start, start != MAP_FAILED else {
      throw Problem(description: "\(name) cannot be mapped: \(errno)")
    }
    defer { munmap(start, length) }
    return body(start, length)
  }

  private func pause(_ duration: Duration) {
    usleep(UInt32(duration.nanoseconds / 1000))
  }
}
