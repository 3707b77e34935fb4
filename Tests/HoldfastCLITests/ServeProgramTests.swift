import Foundation
import Testing

/// `holdfast reservoir serve`, as a user would run it.
struct ServeProgramTests {
  private let served: ServedPlace

  init() throws { served = try ServedPlace() }

  private let levels = "[level]\nfiles = 2x4M\n[level]\nfiles = 1x8M\n"

  @Test func keepsLevels() throws {
    try served.configure(levels)
    try served.start()
    try served.until("first") { served.ready == ["4M", "4M", "8M"] }
    for name in ["a", "b", "c"] {
      try served.place.get("reservoir", "lease", "-m", "4M", "--name", name)
      try served.until(name) { served.ready == ["4M", "4M", "8M"] }
    }
    #expect(try served.place.rows() == ["8M 1 0 0", "4M 2 3 0"])
    try served.send(SIGTERM)
    let outcome = try served.end()
    #expect(outcome.status == 0 && outcome.output.isEmpty, "\(outcome)")
    #expect(outcome.error.hasSuffix("holdfast: notice: stopped\n"))
  }

  @Test func fillsWithLowPriority() throws {
    try served.configure("[fill]\nthreads = 2\n" + levels, head: "interval = 0.1\n")
    try served.start()
    try served.until("first") { served.ready.count == 3 }
    #expect(try nices(of: "holdfast-work") == ["19"])
    #expect(try nices(of: "holdfast-metric") == ["0"])
  }

  /// Neither lower nor, as root may do, higher.
  @Test func fillsWithNormalPriority() throws {
    try served.configure("[fill]\nthreads = 2\n" + levels, head: "priority = normal\n")
    try served.start()
    try served.until("first") { served.ready.count == 3 }
    #expect(try nices(of: "holdfast-work") == ["0"])
    #expect(try nices(of: "holdfast-metric") == ["0"])
  }

  /// The nice values of the service's threads of a name.
  private func nices(of name: String) throws -> [String] {
    let tasks = "/proc/\(try #require(served.program).process)/task"
    return try FileManager.default.contentsOfDirectory(atPath: tasks).compactMap { task in
      let text = (try? String(contentsOfFile: "\(tasks)/\(task)/stat", encoding: .utf8)) ?? ""
      // Field 19 of proc(5), counted behind the name.
      let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
      return text.contains("(\(name))") && fields.count > 16 ? String(fields[16]) : nil
    }
  }

  /// A collection need not wait until a level is full.
  @Test func collectsBetweenTheFilesOfALevel() throws {
    try served.configure(
      "[fill]\nrate = 8M\nthreads = 1\n[level]\nfiles = 1000x4M\n[collect]\ninterval = 0.1\n")
    try served.start()
    try served.until("first") { served.ready.count >= 2 }
    try served.orphan("vm1")
    try served.until("collected") { served.place.names("leased/\(geteuid())").isEmpty }
    #expect(served.ready.count < 1000)
  }

  @Test func fillsDespiteForeignFiles() throws {
    try FileManager.default.createDirectory(
      atPath: served.place.file("leased"), withIntermediateDirectories: true)
    #expect(
      FileManager.default.createFile(
        atPath: served.place.file("leased/\(geteuid())"), contents: nil))
    try served.configure("[level]\nfiles = 2x4M\n[collect]\ninterval = 0.1\n")
    try served.start()
    try served.until("filled") { served.ready.count == 2 }
  }

  @Test func putsFilesAsideThatItHasNotMade() throws {
    try served.configure("[level]\nfiles = 2x4M\n[collect]\ninterval = 0.1\n")
    let name = "ready/4M-0123456789abcdef"
    #expect(FileManager.default.createFile(atPath: served.place.file(name), contents: nil))
    try served.start()
    try served.until("filled") { served.ready.count == 2 }
    try served.until("reported") {
      served.log.contains("moved to quarantine: \(served.place.file(name)): its size is")
    }
    #expect(served.place.names("quarantine").count == 1)
  }

  @Test func collectsOrphans() throws {
    try served.configure(
      "[level]\nfiles = 1x4M\n[collect]\ninterval = 0.1\nreuse = scrub\nverify = yes\n")
    try served.start()
    try served.until("first") { served.ready == ["4M"] }
    try served.orphan("vm1")
    // The level may have been filled again in the meantime.
    try served.until("collected") {
      served.place.names("leased/\(geteuid())").isEmpty && !served.ready.isEmpty
    }
    try served.until("reported") { served.log.contains("collected: 1 ready again, 0 returned") }
  }

  @Test func reloads() throws {
    let head = "interval = 0.1\n"
    try served.configure("[level]\nfiles = 1x4M\n", head: head)
    try served.start()
    try served.until("first") { served.ready == ["4M"] }
    try served.configure("[level]\nfiles = 2x4M\n", head: head)
    try served.send(SIGHUP)
    try served.until("second") { served.ready == ["4M", "4M"] }

    for (text, problem) in [
      ("[level]\nfiles = many\n", "reservoir.conf:5: files = many"),
      ("priority = idle\n[level]\nfiles = 3x4M\n", "priority cannot change"),
    ] {
      try served.configure(text, head: head)
      try served.send(SIGHUP)
      try served.until("reported") {
        served.log.contains("error: the old configuration remains: ")
          && served.log.contains(problem)
      }
    }
    try served.place.get("reservoir", "lease", "-m", "4M")
    try served.until("again") { served.ready == ["4M", "4M"] }
    usleep(300_000)
    #expect(served.ready == ["4M", "4M"])
  }

  @Test(arguments: [SIGTERM, SIGINT])
  func stopsDuringAFill(_ signal: Int32) throws {
    // After the first 64 MiB a minute passes.
    try served.configure("[fill]\nrate = 1M\nthreads = 1\n[level]\nfiles = 1x128M\n")
    try served.start()
    try served.until("begins") { served.place.names("filling").count == 1 }
    let file = served.place.file("filling/" + served.place.names("filling")[0])
    try served.until("fills") {
      var status = stat()
      return stat(file, &status) == 0 && status.st_blocks > 0
    }
    let start = ContinuousClock.now
    try served.send(signal)
    #expect(try served.end().status == 0)
    // Far more than it takes, since the machine may be busy, and less than the fill.
    #expect(ContinuousClock.now - start < .seconds(20))
    // On a busy machine a piece may take longer than the service waits.
    try served.place.get("reservoir", "gc")
    #expect(served.place.names("filling").isEmpty && served.ready.isEmpty)
  }

  @Test func killedDuringAFill() throws {
    try served.configure("[fill]\nrate = 1M\nthreads = 1\n[level]\nfiles = 1x128M\n")
    try served.start()
    try served.until("begins") { served.place.names("filling").count == 1 }
    try served.send(SIGKILL)
    #expect(try served.end().signal == SIGKILL)
    #expect(served.place.names("filling").count == 1)
    try served.place.get("reservoir", "gc")
    #expect(served.place.names("filling").isEmpty && served.ready.isEmpty)
  }

  @Test func twoServicesDoNoHarm() throws {
    try served.configure("[level]\nfiles = 4x4M\n")
    try served.start()
    let other = try HoldfastProgram(served.words)
    defer {
      other.send(SIGTERM)
      _ = try? other.wait()
    }
    try served.until("first") { served.ready.count == 4 }
    for number in 0..<8 {
      try served.place.get("reservoir", "lease", "-m", "4M", "--name", "vm\(number)")
      try served.until("again") { served.ready.count == 4 }
    }
    usleep(300_000)
    #expect(served.ready.count == 4)
    #expect(try served.place.rows() == ["4M 4 8 0"])
  }

  @Test func continuesAfterAShortage() throws {
    // No host has that much memory. The other level is reached nevertheless.
    try served.configure("[level]\nfiles = 1x1024T\n[level]\nfiles = 1x4M\n")
    try served.start()
    try served.until("other") { served.ready == ["4M"] }
    try served.until("reported") { served.log.contains("warning: cannot fill the reservoir") }
    usleep(300_000)
    #expect(served.log.split(separator: "\n").count { $0.contains("cannot fill") } == 1)
  }

  @Test func badStarts() throws {
    try served.configure("[level]\nfiles = 1x4M\nfoo = 1\n", head: "interval = 0.1\n")
    for words in [served.words, served.words + ["--check"]] {
      try HoldfastProgram(words).wait().expectFailure(1, "reservoir.conf:6: unknown key 'foo'")
    }
    try HoldfastProgram.run("reservoir", "serve", "--config", "/nowhere/x")
      .expectFailure(1, "/nowhere/x: cannot read the file")
    try served.configure(levels)
    #expect(try HoldfastProgram(served.words + ["--check"]).wait().output.hasSuffix("no errors\n"))
    try "[reservoir]\nmount = \(served.folder.path)\n\(levels)".write(
      toFile: served.configuration, atomically: true, encoding: .utf8)
    try HoldfastProgram(served.words).wait().expectFailure(1, "cannot open the reservoir")
  }

  @Test(arguments: [true, false])
  func reportsToTheServiceManager(_ isAbstract: Bool) throws {
    let name =
      isAbstract ? "@holdfast-test-\(UUID())" : served.folder.appending(path: "notify").path
    let socket = try NotifySocket(name)
    try served.configure("[level]\nfiles = 1x4M\n")
    try served.start(variables: ["NOTIFY_SOCKET=\(name)", "WATCHDOG_USEC=400000"])
    for line in ["READY=1", "STATUS=ready: 1 of 1x4M", "WATCHDOG=1"] {
      try served.until(line) { socket.has(line) }
    }
    #expect(socket.messages.first { !$0.hasPrefix("WATCHDOG") }?.hasPrefix("READY=1\n") == true)
    socket.forget()
    // Keep-alive messages are sent without any work too.
    try served.until("alive") { socket.has("WATCHDOG=1") }
    try served.send(SIGHUP)
    try served.until("reloading") { socket.has("RELOADING=1") && socket.has("READY=1") }
    #expect(socket.has("MONOTONIC_USEC="))
    try served.send(SIGTERM)
    #expect(try served.end().status == 0)
    #expect(socket.has("STOPPING=1"))
  }
}
