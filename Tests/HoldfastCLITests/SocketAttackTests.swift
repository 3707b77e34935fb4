import Foundation
import HoldfastTestKit
import Testing

/// Attacks by the service's socket.
@Suite(.enabled(if: Attack.isPossible, Attack.comment))
struct SocketAttackTests {}

extension SocketAttackTests {
  private func served(_ configuration: String) throws -> ServedPlace {
    let served = try ServedPlace(fileSystem: "tmpfs", size: 256 << 20, options: Attack.options)
    try served.configure("[collect]\ninterval = 0.1\n" + configuration)
    try served.start()
    return served
  }

  /// Waits until the level is ready and the service listens.
  private func wait(_ served: ServedPlace, _ count: Int) throws {
    try served.until("level") {
      served.ready.count >= count && access(served.place.file("socket"), F_OK) == 0
    }
  }

  /// Limits hold exactly, whatever arrives at the same time.
  @Test(arguments: [
    ("files = 3", ["BYTES=4194304"], 3), ("bytes = 15M", ["BYTES=4194304"], 3),
    ("bytes = 16M", ["BYTES=4194304", "HELD=0"], 4),
    ("bytes = 20M", ["BYTES=8388608", "GROW=1"], 2),
  ])
  func leasesAtTheSameTime(_ limit: String, _ lines: [String], _ count: Int) throws {
    let served = try served("[limits]\n\(limit)\nrequests = 64\n[level]\nfiles = 12x4M\n")
    try wait(served, 12)
    let attack = try Attack()
    try attack.crowd("leases", served.place.file("socket"), ["24"] + lines)
    let results = try #require(try attack.value("result") as? [Any])
    #expect(results.compactMap { $0 as? Int }.count == count, "\(results)")
    #expect(served.place.names("leased/\(Attack.user)").count == count)
    for reason in results.compactMap({ $0 as? String }) {
      #expect(reason.contains("the limit of \(limit.prefix { $0.isLetter }) is"), "\(reason)")
    }
  }

  /// A user's requests in flight are bounded, and those who wait hold up nobody else.
  @Test func clientsThatDoNotReadOrAsk() throws {
    let served = try served("[limits]\nrequests = 4\n[level]\nfiles = 2x4M\n")
    try wait(served, 2)
    let attack = try Attack()
    try attack.crowd("mute", served.place.file("socket"), ["64"])
    _ = try attack.value("mute")
    let outcome = try served.place.run(
      ["reservoir", "lease", "-m", "4M", "--socket", served.place.file("socket"), "--wait", "20"])
    #expect(outcome.status == 0, "\(outcome)")
    #expect(served.place.names("leased/0").count == 1)
  }

  /// Connections that end at any moment, with descriptors and without sense.
  @Test func clientsThatVanish() throws {
    let served = try served("[limits]\nrequests = 64\n[level]\nfiles = 4x4M\n")
    try wait(served, 4)
    let process = try #require(served.program).process
    let attack = try Attack()
    func descriptors() throws -> Int {
      try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").count
    }
    let before = try descriptors()
    try attack.crowd("vanish", served.place.file("socket"), ["60"])
    #expect(try attack.value("result") as? [Int] == Array(repeating: 60, count: 8))
    try served.until("closed") { try descriptors() <= before }
    try served.until("collected") { served.place.names("leased/\(Attack.user)") == [] }
    try wait(served, 4)
    for name in served.place.names("ready") {
      #expect(try FileMemory.isZero(served.place.file("ready/" + name)))
    }
    try attack.lease(served.place, "vm")
  }

  /// No line of a request names a user.
  @Test func leasesOfOthers() throws {
    let served = try served("[level]\nfiles = 1x4M\n")
    try wait(served, 1)
    try served.place.get("reservoir", "lease", "-m", "4M", "--name", "vm")
    let attack = try Attack()
    try attack.crowd("foreign", served.place.file("socket"), [])
    let codes = Set(try attack.list("result"))
    #expect(codes.isSubset(of: ["noLease", "invalidArgument"]), "\(codes)")
    #expect(served.place.names("leased/0") == ["vm"])
  }

  /// A member changes the own file in all ways, on a mount where he may link it too, while root ends
  /// the lease.
  @Test func theOwnFile() throws {
    let served = try served("[level]\nfiles = 2x4M\n")
    try wait(served, 2)
    let place = served.place
    try #require(chmod(place.path, 0o1777) == 0)
    let attack = try Attack()
    try attack.crowd(
      "own", place.file("socket"), [place.file("leased/\(Attack.user)"), place.path])
    let user = "\(Attack.user)"
    for round in 0..<24 {
      try served.until("leased") { place.names("leased/\(user)") == ["own"] }
      let words = [
        ["release", "own", "--user", user], ["recycle", "own", "--user", user, "--or-release"],
        ["gc", "--older-than", "0", "--reuse", "scrub"],
        ["recycle", "own", "--user", user, "--or-release", "--reuse", "scrub"],
      ][round % 4]
      let outcome = try place.run(["reservoir"] + words)
      #expect(outcome.status == 0, "\(words) \(outcome)")
    }
    try attack.tell("stop")
    #expect(try #require(try attack.value("result") as? Int) > 12)
    // The member's links, which a sticky folder permits, are his files.
    for name in place.names("ready") {
      #expect(name.hasPrefix("4M-"))
      #expect(try FileMemory.isZero(place.file("ready/" + name)))
    }
    #expect(place.names("quarantine") == [] && Set(place.names("leased")) == [user])
  }

  /// Another program listens where the service should.
  @Test func aListenerOfAnotherUser() throws {
    let place = try ReservoirPlace(options: Attack.options)
    let attack = try Attack()
    let path = attack.scene + "/reservoir.sock"
    try attack.crowd("spoof", path, [])
    _ = try attack.value("listening")
    try place.run(["reservoir", "lease", "-m", "4M", "--socket", path]).expectFailure(
      1, "user \(Attack.user) listens at \(path)")
    #expect(try attack.text("result") == "no request")
  }

  /// A connection to one of a service manager's sockets holds up neither the others nor the end.
  @Test func socketsOfTheServiceManager() throws {
    let served = try ServedPlace(options: Attack.options)
    try served.configure("[level]\nfiles = 1x4M\n")
    let attack = try Attack()
    let paths = ["one", "two"].map { attack.scene + "/" + $0 }
    let program = try HoldfastProgram(
      [HoldfastProgram.path] + served.words + ["--"] + paths,
      command: ["python3", "-c", Attack.text("activate")])
    defer {
      program.send(SIGTERM)
      #expect((try? program.wait().status) == 0)
    }
    #expect(eventually { program.errorSoFar.contains("made ready") })
    for path in paths + paths {
      let outcome = try served.place.run(["reservoir", "status", "--socket", path])
      #expect(outcome.status == 0, "\(outcome)")
    }
  }

  /// A link where the service is to create its socket is neither followed nor removed.
  @Test func aLinkInTheSocketsPlace() throws {
    let served = try ServedPlace(options: Attack.options)
    let attack = try Attack()
    let path = attack.scene + "/reservoir.sock"
    let target = served.folder.appending(path: "target").path
    for there in [false, true] {
      if there { try "mine".write(toFile: target, atomically: true, encoding: .utf8) }
      unlink(path)
      try #require(symlink(target, path) == 0 && lchown(path, uid_t(Attack.user), 0) == 0)
      try served.configure("[socket]\npath = \(path)\n[level]\nfiles = 1x4M\n")
      try served.start()
      try served.until("warning") { served.log.contains("cannot create the socket \(path)") }
      try served.send(SIGTERM)
      #expect(try served.end().status == 0)
      var status = stat()
      #expect(lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
      #expect((access(target, F_OK) == 0) == there)
    }
    #expect(try String(contentsOfFile: target, encoding: .utf8) == "mine")
  }
}
