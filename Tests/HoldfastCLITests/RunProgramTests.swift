import Foundation
import HoldfastTestKit
import Testing

/// `holdfast run`, with a shell for a monitor.
struct RunProgramTests {
  private func place(_ files: String = "1x4M") throws -> ReservoirPlace {
    let place = try ReservoirPlace()
    try place.get("reservoir", "fill", files)
    return place
  }

  private func shell(_ script: String) -> [String] {
    ["run", "-m", "4M", "--name", "vm", "--", "sh", "-c", script, "{memory}", "{size}", "{name}"]
  }

  /// Waits until the program under test has written a file.
  private func wait(for path: String) throws {
    try #require(eventually { access(path, F_OK) == 0 }, "\(path) was not created")
  }

  @Test func substitutesAndRecycles() throws {
    let place = try place()
    let outcome = try place.run(
      shell("echo $0 $1 $2; head -c 4194304 /dev/zero | tr '\\0' x 1<>$0"))
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    #expect(outcome.output == place.file("leased/\(geteuid())/vm.run 4M vm\n"))
    #expect(try place.rows() == ["4M 1 0 0"])
    let ready = try Data(contentsOf: URL(filePath: place.file("ready/" + place.names("ready")[0])))
    #expect(ready.count == 4 << 20 && ready.allSatisfy { $0 == 0 })
  }

  @Test func releases() throws {
    let place = try place()
    let words = ["run", "--reuse", "release", "-m", "4M", "--", "true", "{memory}"]
    #expect(try place.run(words).status == 0)
    #expect(try place.rows() == [])
  }

  @Test(arguments: [
    ("exit 7", 7), ("exit 64", 64), ("exit 1", 1), ("kill -9 $$", 137), ("kill -TERM $$", 143),
  ])
  func statuses(_ script: String, _ status: Int32) throws {
    let place = try place()
    let outcome = try place.run(shell(script))
    #expect(outcome.status == status && outcome.error.isEmpty, "\(outcome)")
    #expect(try place.rows() == ["4M 1 0 0"])
  }

  @Test func badArguments() throws {
    let place = try place()
    for (words, status, text) in [
      (["-m", "4M"], 64, "program"),
      (["-m", "4M", "--", "true"], 64, "lack {memory}"),
      (["--", "true", "{memory}"], 64, "--memory"),
      (["-m", "4M", "--name", "a/b", "--", "true", "{memory}"], 64, "letters, digits"),
      (["-m", "8M", "--", "true", "{memory}"], 1, "the largest file that is ready has 4 MiB"),
      (["-m", "4M", "--", "/none/at/all", "{memory}"], 1, "cannot start '/none/at/all'"),
    ] as [([String], Int32, String)] {
      try place.run(["run"] + words).expectFailure(status, text)
    }
    #expect(try place.rows() == ["4M 1 0 0"])
  }

  @Test(arguments: [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1])
  func passesSignalsOn(_ signal: Int32) throws {
    let place = try place()
    let flag = place.path + "/started"
    let program = try place.start(
      shell("trap 'exit 9' TERM INT HUP QUIT USR1; touch \(flag); while :; do sleep 0.01; done"))
    try wait(for: flag)
    program.send(signal)
    #expect(try program.wait().status == 9)
    #expect(try place.rows() == ["4M 1 0 0"])
  }

  @Test func theMonitorKeepsTheLeaseWhenHoldfastIsKilled() throws {
    let place = try place()
    let flag = place.path + "/started"
    let program = try place.start(
      shell("echo $$ > \(flag).new; mv \(flag).new \(flag); exec sleep 60"))
    try wait(for: flag)
    let monitor = try #require(
      pid_t(String(contentsOfFile: flag, encoding: .utf8).filter(\.isNumber)))
    program.send(SIGKILL)
    #expect(try program.wait().signal == SIGKILL)
    #expect(try place.get("reservoir", "gc").hasPrefix("1 in use left alone"))
    #expect(try place.rows() == ["4M 0 1 0"])
    try place.run(["reservoir", "release", "vm"]).expectFailure(1, "holds its lock")
    kill(monitor, SIGKILL)
    let end = ContinuousClock.now + .seconds(20)
    while try place.rows() != ["4M 1 0 0"], ContinuousClock.now < end {
      try place.get("reservoir", "gc", "--verify")
    }
    #expect(try place.rows() == ["4M 1 0 0"])
  }

  @Test func aMonitorInTheBackground() throws {
    let place = try place()
    let outcome = try place.run(shell("sleep 60 >/dev/null 2>&1 & echo $!"))
    #expect(outcome.status == 0)
    #expect(outcome.error.contains("another process still holds the lease 'vm'"), "\(outcome)")
    #expect(try place.rows() == ["4M 0 1 0"])
    kill(try #require(pid_t(outcome.output.filter(\.isNumber))), SIGKILL)
    let end = ContinuousClock.now + .seconds(20)
    while try place.rows() != ["4M 1 0 0"], ContinuousClock.now < end {
      try place.get("reservoir", "gc")
    }
    #expect(try place.rows() == ["4M 1 0 0"])
  }

  @Test func aSignalEndsTheWait() throws {
    let place = try place()
    let program = try place.start(
      ["run", "-m", "8M", "--wait", "60", "--", "true", "{memory}"])
    usleep(100_000)
    program.send(SIGTERM)
    #expect(try program.wait().signal == SIGTERM)
    #expect(try place.rows() == ["4M 1 0 0"])
  }

  /// A ^C of a terminal, which script(1) provides, reaches a child that has left the terminal's
  /// foreground group.
  @Test(
    .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/script"), "needs script"))
  func signalsOfATerminal() throws {
    let place = try place()
    let mark = place.path + "/mark"
    let words = place.arguments(["run", "-m", "4M", "--", "setsid", "sh", "-c"])
    let line =
      ([HoldfastProgram.path] + words).joined(separator: " ")
      + " \"touch \(mark); exec sleep 60\" {memory}"
    let keys = "while ! [ -e \(mark) ]; do sleep 0.05; done; printf \"\\003\""
    let outcome = try HoldfastProgram(
      [], command: ["timeout", "30", "sh", "-c", "{ \(keys); } | script -qec '\(line)' /dev/null"]
    ).wait()
    #expect(outcome.status == 130, "\(outcome)")
    #expect(try place.rows() == ["4M 1 0 0"])
  }
}
