import Foundation
import HoldfastTestKit
import Testing

/// The service's statistics of operations in other processes.
struct ServeEventTests {
  private let prefix = "holdfast_reservoir_"

  private func start(_ options: [String] = []) throws -> ServedPlace {
    let served = try ServedPlace(options: options)
    try served.configure("[level]\nfiles = 2x4M\n[metrics]\nlisten = 127.0.0.1:0\n")
    try served.start()
    try served.until("first") { served.ready.count == 2 }
    try served.until("listens") { try value(served, "listening") == 1 }
    return served
  }

  private func value(_ served: ServedPlace, _ name: String) throws -> Double? {
    try served.ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").split(separator: "\n")
      .first { $0.hasPrefix(prefix + name + " ") }
      .flatMap { Double($0.split(separator: " ")[1]) }
  }

  @Test func eventsAfterAKill() throws {
    let served = try start()
    try served.send(SIGKILL)
    #expect(try served.end().signal == SIGKILL)
    #expect(FileManager.default.fileExists(atPath: served.place.file("events")))
    // Leasing continues without it.
    try served.place.get("reservoir", "lease", "-m", "4M")
    try served.start()
    try served.until("listens again") { try value(served, "listening") == 1 }
    try served.place.get("reservoir", "lease", "-m", "4M")
    try served.until("counted") { try value(served, "lease_seconds_count") == 1 }
    try served.send(SIGTERM)
    #expect(try served.end().status == 0)
    #expect(!FileManager.default.fileExists(atPath: served.place.file("events")))
  }

  @Test func oneOfTwoServicesReceivesEvents() throws {
    let served = try start()
    let other = try HoldfastProgram(served.words)
    defer {
      other.send(SIGKILL)
      _ = try? other.wait()
    }
    try served.until("reported") {
      other.errorSoFar.contains("another service receives the events")
    }
    try served.place.get("reservoir", "lease", "-m", "4M")
    try served.until("counted") { try value(served, "lease_seconds_count") == 1 }
    // If the socket is removed, the service creates another.
    try FileManager.default.removeItem(atPath: served.place.file("events"))
    try served.until("there again") {
      FileManager.default.fileExists(atPath: served.place.file("events"))
    }
  }

  @Test(
    .enabled(
      if: HostNeeds.canChangeUser && HoldfastProgram.othersCanRun,
      "needs root, runuser, and a build folder that other users may enter"))
  func onlyTheOwnerSendsEvents() throws {
    let served = try start(["--group", "65534"])
    func sh(_ script: String, as user: String) throws -> Int32? {
      try HoldfastProgram([], command: ["runuser", "-u", user, "--", "sh", "-c", script]).wait()
        .status
    }
    let events = served.place.file("events")
    #expect(try sh("! test -w \(events) && ! test -r \(events)", as: "nobody") == 0)
    #expect(try sh("rm -f \(events)", as: "nobody") != 0)
    #expect(try sh("test -e \(events)", as: "daemon") != 0)
    // The service counts the leases of members itself.
    let outcome = try served.place.run(
      ["reservoir", "lease", "-m", "4M", "--name", "vm"], as: "nobody")
    #expect(outcome.status == 0, "\(outcome)")
    try served.until("counted") { try value(served, "lease_seconds_count") == 1 }
    #expect(try value(served, "invalid_messages_total") == 0)
  }
}
