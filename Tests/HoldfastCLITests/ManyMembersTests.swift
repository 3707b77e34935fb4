import Foundation
import HoldfastTestKit
import Testing

/// Fifty users lease at the same time, each as a real user.
@Suite(
  .enabled(
    if: HostNeeds.canChangeUser && HostNeeds.python, "needs root, setpriv and python3"))
struct ManyMembersTests {}

extension ManyMembersTests {
  private static let users = 2001...2050

  /// Each gets exactly one file that no other gets; where a file is lacking, one user gets none.
  @Test(arguments: [50, 49])
  func atTheSameTime(_ files: Int) throws {
    let served = try ServedPlace(
      fileSystem: "tmpfs", size: 256 << 20, options: ["--group", "65534"])
    let place = served.place
    // No new memory gets ready during the test.
    try served.configure(
      "[level]\nfiles = \(files)x4M\n", head: "interval = 3600\npriority = normal\n")
    try served.start()
    try served.until("level") {
      served.ready.count == files && access(place.file("socket"), F_OK) == 0
    }
    let ready = Set(try place.names("ready").map { try file("ready/" + $0, place).st_ino })

    let gate = served.folder.path + "/start"
    try #require(chmod(served.folder.path, 0o755) == 0)
    let lock = open(gate, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    defer { close(lock) }
    try #require(lock >= 0 && flock(lock, LOCK_EX) == 0)
    let text = try Attack.text("together")
    let clients = try Self.users.map { user in
      try HoldfastProgram(
        [place.file("socket"), gate],
        command: [
          "setpriv", "--reuid", "\(user)", "--regid", "65534", "--clear-groups",
          "/usr/bin/python3", "-ISc", text,
        ])
    }
    let areThere = eventually { clients.allSatisfy { $0.outputSoFar.hasPrefix("waits\n") } }
    #expect(areThere)
    flock(lock, LOCK_UN)
    let outcomes = try clients.map { try $0.wait() }

    var inodes: Set<ino_t> = []
    var slowest = 0.0
    var refused = 0
    for (user, outcome) in zip(Self.users, outcomes) {
      let words = outcome.output.dropFirst("waits\n".count).split(whereSeparator: \.isWhitespace)
      try #require(outcome.status == 0 && words.count >= 2, "user \(user): \(outcome)")
      slowest = max(slowest, Double(words[words.count - 1]) ?? .infinity)
      if words[0] == "noReadyMemory" {
        refused += 1
        #expect(place.names("leased/\(user)") == [])
        continue
      }
      try #require(words.count == 3 && words[1] == "0", "user \(user): \(outcome)")
      let leased = try file("leased/\(user)/vm", place)
      #expect(place.names("leased/\(user)") == ["vm"] && leased.st_uid == uid_t(user))
      #expect("\(leased.st_ino)" == words[0] && ready.contains(leased.st_ino))
      #expect(inodes.insert(leased.st_ino).inserted)
      // No other user has written to it.
      let start = try Data(
        contentsOf: URL(filePath: place.file("leased/\(user)/vm")), options: .mappedIfSafe
      ).prefix(5)
      #expect(start == Data("\(user)\0".utf8))
    }
    #expect(inodes.count == files && refused == Self.users.count - files)
    print("50 members: \(files) files, the slowest answer after \(slowest) s")
    // A request to the service ends after 30 seconds of silence.
    #expect(slowest < 10)
  }

  private func file(_ name: String, _ place: ReservoirPlace) throws -> stat {
    var status = stat()
    try #require(lstat(place.file(name), &status) == 0, "\(name)")
    return status
  }
}
