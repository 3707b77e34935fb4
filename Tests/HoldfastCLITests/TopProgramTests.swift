import Foundation
import HoldfastTestKit
import Testing

/// `holdfast reservoir top`: as text, as JSON, and on a terminal.
struct TopProgramTests {
  private func arguments(_ place: ReservoirPlace, _ words: String...) -> [String] {
    place.arguments(["reservoir", "top", "--config", "/nonexistent/reservoir.conf"] + words)
  }

  @Test func `the folders alone`() throws {
    let place = try ReservoirPlace()
    try place.get("reservoir", "fill", "2x4M")
    try place.get("reservoir", "lease", "-m", "4M", "--name", "web")
    let outcome = try HoldfastProgram(arguments(place, "--once")).wait()
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    let lines = outcome.output.split(separator: "\n").map(String.init)
    #expect(lines[0].hasPrefix("reservoir \(place.path)/holdfast  "))
    #expect(lines[1] == "ready 4M, leased 4M, filling 0")
    #expect(
      lines[2].hasPrefix("no metrics of a service: /nonexistent/reservoir.conf: cannot read"))
    #expect(lines.contains("4M         1       -       1        0"), "\(lines)")
    #expect(lines.contains { $0.hasPrefix("web      4M     -") && $0.contains("lease") })
    #expect(!outcome.output.contains("\u{1B}"))
    #expect(PlainEnglish.bannedPhrases(in: outcome.output) == [])
  }

  @Test func `views after one another count leases`() throws {
    let place = try ReservoirPlace()
    try place.get("reservoir", "fill", "3x4M")
    let program = try HoldfastProgram(arguments(place, "-d", "0.2"))
    try #require(eventually { program.outputSoFar.contains("LAST") })
    try place.get("reservoir", "lease", "-m", "4M", "--name", "web")
    try #require(eventually { program.outputSoFar.contains("leases begun     1") })
    try place.get("reservoir", "release", "web")
    try #require(eventually { program.outputSoFar.contains("leases ended     1") })
    program.send(SIGTERM)
    #expect(try program.wait().signal == SIGTERM)
    let counted = try HoldfastProgram(arguments(place, "-d", "0.1", "-n", "3")).wait()
    #expect(counted.status == 0)
    #expect(counted.output.ranges(of: "reservoir /").count == 3, "\(counted)")
  }

  @Test func `with the metrics of a service`() throws {
    let served = try ServedPlace()
    let path = served.folder.appending(path: "holdfast.prom").path
    try served.configure(
      "[level]\nfiles = 2x4M\n[metrics]\ntextfile = \(path)\ninterval = 0.1\n"
        + "listen = 127.0.0.1:0\n")
    try served.start()
    try served.until("first") { served.ready.count == 2 }
    try served.until("written") {
      try String(contentsOfFile: path, encoding: .utf8).contains("fill_seconds_count 2")
    }
    let port = try served.port()
    for source in [path, "127.0.0.1:\(port)", "http://localhost:\(port)/metrics"] {
      let outcome = try HoldfastProgram(
        served.place.arguments(["reservoir", "top", "--once", "--metrics", source])
      ).wait()
      #expect(outcome.status == 0, "\(outcome)")
      let words = outcome.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
      #expect(words.contains("4M 2 2 0 0 [####################] reached"), "\(outcome)")
      #expect(words.contains("service healthy, started"), "\(outcome)")
      #expect(words.contains("SINCE START PER S BYTES/S TOTAL P50 P99"), "\(outcome)")
    }
    // The configuration names the port that the kernel chose, or rather does not.
    let named = try HoldfastProgram(
      served.place.arguments(["reservoir", "top", "--once", "--config", served.configuration])
    ).wait()
    #expect(named.output.contains("service healthy"), "\(named)")

    let json = try HoldfastProgram(
      served.place.arguments([
        "reservoir", "top", "-n", "2", "-d", "0.1", "--format", "json", "--metrics", path,
      ])
    ).wait()
    let lines = json.output.split(separator: "\n")
    #expect(json.status == 0 && lines.count == 2, "\(json)")
    for line in lines {
      let value = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      let service = try #require(value?["service"] as? [String: Any])
      #expect((service["totals"] as? [String: Int])?["filled_bytes_total"] == 8 << 20)
      #expect(service["isHealthy"] as? Bool == true && service["source"] as? String == path)
      let levels = try #require(value?["levels"] as? [[String: Any]])
      #expect(levels.first?["wanted"] as? Int == 2 && levels.first?["node"] is NSNull)
      #expect(value?["status"] is [String: Any] && value?["problem"] is NSNull)
    }
    // Without a service its levels are still known.
    served.stopAtOnce()
    try FileManager.default.removeItem(atPath: path)
    let alone = try HoldfastProgram(
      served.place.arguments(["reservoir", "top", "--once", "--config", served.configuration])
    ).wait()
    #expect(alone.output.contains("no metrics of a service: \(path): cannot read the file"))
    #expect(alone.output.contains("the levels are those of \(served.configuration)"), "\(alone)")
  }

  @Test func `a configuration of another reservoir`() throws {
    let served = try ServedPlace()
    let other = try ReservoirPlace()
    try served.configure("[level]\nfiles = 2x4M\n[metrics]\nlisten = 127.0.0.1:1\n")
    let outcome = try HoldfastProgram(
      other.arguments(["reservoir", "top", "--once", "--config", served.configuration])
    ).wait()
    #expect(outcome.output.contains("is of another reservoir, on \(served.place.path)"))
    let own = try HoldfastProgram(
      served.place.arguments(["reservoir", "top", "--once", "--config", served.configuration])
    ).wait()
    #expect(own.output.contains("no service listens at 127.0.0.1:1"), "\(own)")
  }

  @Test(
    arguments: [
      (["-d", "0"], "0.1 seconds to a day"), (["-d", "x"], "not a time"),
      (["-n", "0"], "too small"), (["--once", "-n", "2"], "cannot be combined"),
      (["--metrics", "example.com:80"], "loopback"), (["--format", "xml"], "xml"),
    ])
  func `wrong arguments`(_ words: [String], _ reason: String) throws {
    try HoldfastProgram(["reservoir", "top"] + words).wait().expectFailure(64, reason)
  }

  @Test func `no reservoir`() throws {
    try HoldfastProgram(["reservoir", "top", "--once", "--mount", "/proc"]).wait()
      .expectFailure(1, "/proc")
  }

  @Test(
    .enabled(
      if: HostNeeds.isRoot && HoldfastProgram.othersCanRun, "needs root, and a program for others"))
  func `another user sees what the service counts`() throws {
    let served = try ServedPlace()
    try served.configure("[level]\nfiles = 2x4M\n[metrics]\nlisten = 127.0.0.1:0\n")
    try served.start()
    try served.until("first") { served.ready.count == 2 }
    let port = try served.port()
    let outcome = try served.place.run(
      ["reservoir", "top", "--once", "--metrics", "127.0.0.1:\(port)"], as: "nobody")
    #expect(outcome.status == 0, "\(outcome)")
    #expect(outcome.output.contains("only what the service counts is shown: "), "\(outcome)")
    #expect(outcome.output.contains("[####################]  reached"), "\(outcome)")
    try served.place.run(["reservoir", "top", "--once"], as: "nobody")
      .expectFailure(1, "cannot")
  }

  // MARK: On a terminal

  private static let entry = "\u{1B}[?1049h"

  @Test func `keys`() throws {
    let place = try ReservoirPlace()
    try place.get("reservoir", "fill", "1x4M")
    let program = try TerminalProgram(arguments(place, "-d", "0.2"))
    try program.until("drawn") { $0.contains("q quit") && $0.contains("4M") }
    #expect(program.output.hasPrefix(Self.entry) && !program.isOrdinary)
    try program.until("drawn again") { $0.contains("LAST") }
    program.type("?")
    try program.until("help") { $0.contains("show this help") }
    program.type("?")
    program.forget()
    program.type("p")
    try program.until("paused") { $0.contains("paused") }
    program.type("\u{1B}[A")
    program.type(" ")
    try program.until("goes on") { _ in program.screen.contains("every 0.2 s") }
    program.type("q")
    let end = try program.wait()
    #expect(end.status == 0 && program.isRestored && program.isOrdinary)
  }

  @Test func `the size of the terminal`() throws {
    let place = try ReservoirPlace()
    let program = try TerminalProgram(arguments(place, "-d", "3600"))
    try program.until("drawn") { $0.contains("q quit") }
    program.forget()
    program.resize(columns: 40, rows: 10)
    try program.until("smaller") { $0.contains("LEVEL") && $0.hasSuffix("\u{1B}[J") }
    let lines = program.output.split(separator: "\r\n")
    #expect(lines.count <= 10 && !program.output.contains("q quit"), "\(lines)")
    program.type("q")
    #expect(try program.wait().status == 0)
  }

  @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT])
  func `signals that end it`(_ signal: Int32) throws {
    let place = try ReservoirPlace()
    let program = try TerminalProgram(arguments(place, "-d", "3600"))
    try program.until("drawn") { $0.contains("q quit") }
    program.send(signal)
    let end = try program.wait()
    #expect(end.signal == signal && program.isRestored && program.isOrdinary)
  }

  /// ^S stops the output of the terminal, which then takes nothing more.
  @Test func `a signal while the terminal is stopped`() throws {
    let place = try ReservoirPlace()
    let program = try TerminalProgram(arguments(place, "-d", "0.1"))
    try program.until("drawn") { $0.contains("q quit") }
    program.type("\u{13}")
    program.send(SIGTERM)
    #expect(try program.wait().signal == SIGTERM)
    #expect(program.isRestored && program.isOrdinary)
  }

  @Test func `it stops and goes on`() throws {
    let place = try ReservoirPlace()
    let program = try TerminalProgram(arguments(place, "-d", "3600"))
    try program.until("drawn") { $0.contains("q quit") }
    // The terminal's own key. The session has no shell, so the kernel does not stop the program.
    program.forget()
    program.type("\u{1A}")
    try program.until("drawn again") { $0.contains(Self.entry) && $0.contains("q quit") }
    // A signal that no program can block does.
    program.forget()
    program.send(SIGSTOP)
    try program.until("stopped") { _ in program.isStopped() }
    program.send(SIGCONT)
    try program.until("shown again") { $0.contains(Self.entry) && $0.contains("q quit") }
    #expect(!program.isOrdinary)
    program.type("q")
    #expect(try program.wait().status == 0 && program.isRestored && program.isOrdinary)
  }

  @Test func `colors`() throws {
    let place = try ReservoirPlace()
    for (variables, hasColors) in [([], true), (["NO_COLOR=1"], false), (["NO_COLOR="], true)] {
      let program = try TerminalProgram(arguments(place), variables: variables)
      try program.until("drawn") { $0.contains("q quit") }
      #expect(program.output.contains("\u{1B}[1m") == hasColors, "\(variables)")
      program.type("q")
      #expect(try program.wait().status == 0)
    }
  }

  @Test(arguments: [
    (["-n", "1"], []), (["--once"], []), (["-b", "-n", "1"], []), (["-n", "1"], ["TERM=dumb"]),
  ])
  func `views on a terminal that are printed`(_ words: [String], _ variables: [String]) throws {
    let place = try ReservoirPlace()
    let program = try TerminalProgram(
      place.arguments(["reservoir", "top", "--config", "/nonexistent"] + words),
      variables: variables)
    #expect(try program.wait().status == 0)
    #expect(program.output.contains("LEVEL") && !program.output.contains("\u{1B}"))
  }

  @Test func `a dumb terminal`() throws {
    let place = try ReservoirPlace()
    let program = try TerminalProgram(arguments(place, "-d", "0.1"), variables: ["TERM=dumb"])
    try program.until("two views") { $0.ranges(of: "LEVEL").count >= 2 }
    #expect(!program.output.contains("\u{1B}"))
    program.send(SIGINT)
    #expect(try program.wait().signal == SIGINT)
  }
}
