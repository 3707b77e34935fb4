import Foundation
import HoldfastTestKit
import Testing

/// What `/healthz` says, and who can hold up the service.
struct ServeHealthTests {
  private let served: ServedPlace
  private let metrics = "[metrics]\nlisten = 127.0.0.1:0\n"

  init() throws { served = try ServedPlace() }

  @Test func aLevelThatCannotBeFilled() throws {
    try served.configure("[level]\nfiles = 1x4M\n[level]\nfiles = 1x1024T\n" + metrics)
    try served.start()
    try served.until("unhealthy") { try served.health().status == "503" }
    // Also while it waits for the next attempt, and though the other level is full.
    try served.until("other") { served.ready == ["4M"] }
    for _ in 0..<20 {
      let health = try served.health()
      #expect(health.status == "503" && health.line.hasPrefix("cannot fill the reservoir: "))
      #expect(health.line.count { $0.isNewline } == 1 && health.line.hasSuffix("\n"))
      usleep(50_000)
    }
    let head = try served.ask("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    #expect(head.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
    try served.configure("[level]\nfiles = 1x4M\n" + metrics)
    try served.reload()
    try served.until("healthy") { try served.health() == ("200", "ok\n") }
    // A reload alone changes nothing.
    try served.configure("[level]\nfiles = 2x4M\n[level]\nfiles = 1x1024T\n" + metrics)
    try served.reload()
    try served.until("unhealthy again") { try served.health().status == "503" }
    try served.reload()
    for _ in 0..<20 { #expect(try served.health().status == "503") }
  }

  @Test func aStatusThatCannotBeRead() throws {
    try served.configure("[level]\nfiles = 1x4M\n[collect]\ninterval = 0.1\n" + metrics)
    try served.start()
    try served.until("healthy") { try served.health().status == "200" && served.ready == ["4M"] }
    try #require(chmod(served.place.file("filling"), 0o777) == 0)
    try served.until("unhealthy") {
      let health = try served.health()
      return health.status == "503" && health.line.contains("may access")
    }
    try #require(chmod(served.place.file("filling"), 0o700) == 0)
    try served.until("healthy again") { try served.health() == ("200", "ok\n") }
    try served.until("logged") { served.log.contains("succeeds again") }
  }

  /// A client that sends a byte a while, and many that send nothing.
  @Test func slowClientsDelayNobody() throws {
    try served.configure("[level]\nfiles = 1x4M\n" + metrics)
    try served.start()
    try served.until("healthy") { try served.health().status == "200" }
    let silent = try (0..<100).map { _ in try served.connection() }
    defer { for file in silent { close(file) } }
    let start = ContinuousClock.now
    for _ in 0..<10 {
      let slow = try served.connection()
      defer { close(slow) }
      for byte in Array("GET /me".utf8) {
        _ = withUnsafePointer(to: byte) { send(slow, $0, 1, Int32(MSG_NOSIGNAL)) }
        #expect(try served.health().status == "200")
      }
    }
    // Far more than it takes. A server that waits half a second for each client needs longer.
    #expect(ContinuousClock.now - start < .seconds(60))
  }

  @Test(.enabled(if: HostNeeds.isRoot, "needs root, which sees the leases of all users"))
  func aThousandFoldersOfLeases() throws {
    try served.configure("[level]\nfiles = 2x4M\n[collect]\ninterval = 0.1\n" + metrics)
    for user in 10_000..<11_000 {
      let folder = served.place.file("leased/\(user)")
      try #require(mkdir(folder, 0o700) == 0)
      // Some belong to another user or admit others.
      try #require(chown(folder, uid_t(user / 100 * 100), 0) == 0)
      if user % 7 == 0 { try #require(chmod(folder, 0o755) == 0) }
    }
    try served.start(after: "ulimit -n 64")
    try served.until("filled") { served.ready == ["4M", "4M"] }
    try served.orphan("vm1")
    try served.until("collected") {
      served.place.names("leased/\(geteuid())").isEmpty && served.ready == ["4M", "4M"]
    }
    let health = try served.health()
    #expect(health == ("200", "ok\n"), "\(health) \(served.log)")
    let silent = try (0..<60).map { _ in try served.connection() }
    defer { for file in silent { close(file) } }
    let after = try served.health()
    #expect(after == ("200", "ok\n"), "\(after) \(served.log)")
  }

  @Test func raisesTheLimitOfOpenFiles() throws {
    try served.configure("[level]\nfiles = 1x4M\n")
    try served.start(after: "ulimit -Sn 100 && ulimit -Hn 500")
    try served.until("filled") { served.ready == ["4M"] }
    let process = try #require(served.program).process
    let limits = try String(contentsOfFile: "/proc/\(process)/limits", encoding: .utf8)
    let line = try #require(limits.split(separator: "\n").first { $0.hasPrefix("Max open files") })
    #expect(line.split(separator: " ")[3...4].elementsEqual(["500", "500"]), "\(line)")
  }
}

/// The service ends where its path leads to other folders than those that it has open.
struct ServePlaceTests {
  private let text = "[level]\nfiles = 1x4M\n[metrics]\nlisten = 127.0.0.1:0\n"

  private func started(_ served: ServedPlace) throws {
    try served.configure(text)
    try served.start()
    try served.until("filled") { served.ready == ["4M"] && (try? served.health())?.status == "200" }
  }

  /// Expects the end of the service with one line more than the notice of its start.
  private func expectEnd(_ served: ServedPlace, _ words: String) throws {
    // A service that goes on fails the test, instead of being waited for.
    try served.until("ends") { served.log.contains("holdfast: error: ") }
    let outcome = try served.end()
    #expect(outcome.status == 1 && outcome.output.isEmpty, "\(outcome)")
    let lines = outcome.error.split(separator: "\n").filter { !$0.contains("holdfast: info: ") }
    #expect(lines.count == 2, "\(outcome)")
    #expect(lines[0].contains("serving"), "\(outcome)")
    let last = String(lines[lines.count - 1])
    #expect(last.hasPrefix("holdfast: error: cannot use the reservoir in "), "\(last)")
    #expect(last.contains(words), "\(last)")
    #expect(PlainEnglish.bannedPhrases(in: last) == [])
  }

  @Test func removedAndCreatedAgain() throws {
    let served = try ServedPlace()
    try started(served)
    // At once, so that no check sees the state between.
    try FileManager.default.moveItem(
      atPath: served.place.path + "/holdfast", toPath: served.place.path + "/removed")
    try FileManager.default.removeItem(atPath: served.place.path + "/removed")
    try expectEnd(served, "/holdfast is gone")
    try served.place.get("reservoir", "init")
    try started(served)
    // As above.
    try FileManager.default.moveItem(
      atPath: served.place.path + "/holdfast", toPath: served.place.path + "/old")
    try served.place.get("reservoir", "init")
    try expectEnd(served, "/holdfast is ")
    #expect(!FileManager.default.fileExists(atPath: served.place.path + "/old/events"))
  }

  @Test(.enabled(if: HostNeeds.isRoot, "needs root to mount"))
  func mountedAnew() throws {
    let served = try ServedPlace(fileSystem: "tmpfs", size: 64 << 20)
    try started(served)
    try #require(umount2(served.place.path, Int32(MNT_DETACH)) == 0)
    try #require(mount("holdfast-test", served.place.path, "tmpfs", 0, "size=64M,mode=0755") == 0)
    try expectEnd(served, "/holdfast is gone")
    try served.place.get("reservoir", "init")
    try started(served)
  }

  /// A fill that takes long does not hide the change.
  @Test func duringAFill() throws {
    let served = try ServedPlace()
    try served.configure("[fill]\nrate = 1M\nthreads = 1\n[level]\nfiles = 1x128M\n")
    try served.start()
    try served.until("begins") { served.place.names("filling").count == 1 }
    try FileManager.default.moveItem(
      atPath: served.place.path + "/holdfast", toPath: served.place.path + "/old")
    try expectEnd(served, "/holdfast is gone")
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: served.place.path + "/old/filling") == [])
  }
}
