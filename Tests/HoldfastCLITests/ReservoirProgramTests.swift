import Foundation
import HoldfastTestKit
import Testing

/// `holdfast reservoir` as users run it.
struct ReservoirProgramTests {
  @Test func aWholeLife() throws {
    let place = try ReservoirPlace()
    #expect(try place.get("reservoir", "fill", "2x4M", "8M").contains("2x4M 1x8M made ready"))
    #expect(try place.get("reservoir", "fill", "2x4M").contains("2 ready before; nothing to fill"))
    #expect(try place.rows() == ["8M 1 0 0", "4M 2 0 0"])
    let path = try place.get("reservoir", "lease", "--size", "4M", "--name", "vm1")
    #expect(path == place.file("leased/\(geteuid())/vm1\n"))
    let json = try place.get(
      "reservoir", "lease", "-m", "4M", "--name", "vm2", "--format", "json")
    let receipt = try #require(
      try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
    #expect(receipt["sizeBytes"] as? Int == 4 << 20 && receipt["isExclusive"] as? Bool == true)
    #expect(try place.rows() == ["8M 1 0 0", "4M 0 2 0"])
    let table = try place.get("reservoir", "status", "--leases")
    #expect(table.hasPrefix("Size  Ready  Leased  Filling  Page  Node\n8M        1"), "\(table)")
    #expect(table.contains("vm1"))
    #expect(
      try place.get("reservoir", "recycle", "vm1", "--reuse", "scrub", "--verify")
        == "4 MiB scrubbed and ready again.\n")
    #expect(try place.get("reservoir", "release", "vm2").hasPrefix("4 MiB returned"))
    #expect(try place.get("reservoir", "gc") == "nothing to do\n")
    #expect(try place.get("reservoir", "drain") == "2 returned to the host; 12 MiB\n")
    #expect(try place.rows() == [])
  }

  @Test func errors() throws {
    let place = try ReservoirPlace()
    try place.get("reservoir", "fill", "4M")
    for (words, status, text) in [
      (["lease", "-m", "4M", "--name", "a/b"], 64, "letters, digits, - and _"),
      (["lease", "-m", "4M", "--name", "a.b"], 64, "letters, digits, - and _"),
      (["lease", "-m", "4M", "--name", "a\nb"], 64, "letters, digits, - and _"),
      (["lease", "-m", "4M", "--name", ""], 64, "it is empty"),
      (["lease", "-m", "4M", "--name", String(repeating: "x", count: 129)], 64, "more than 128"),
      (["lease"], 64, "--size"),
      (["lease", "-m", "1048577"], 1, "not a multiple of the reservoir's page size, 4 KiB"),
      (["lease", "-m", "8M"], 1, "the largest file that is ready has 4 MiB"),
      (["lease", "-m", "2M", "--exact"], 1, "no file of exactly that size"),
      (["lease", "-m", "2M", "--exact", "--grow"], 64, "cannot be combined"),
      (["lease", "-m", "4M", "--wait", "soon"], 64, "a number of seconds"),
      (["lease", "-m", "4M", "--host-numa-node", "7"], 1, "no memory is ready on node 7"),
      (["release", "none"], 1, "no lease of that name"),
      (["release", "../x"], 64, "letters, digits, - and _"),
      (["recycle", "none"], 1, "no lease of that name"),
      (["recycle", "none", "--user", "nobody at all"], 1, "no user is named"),
      (["fill"], 64, "<plan>"),
      (["fill", "0x4M"], 64, "1 to 65536"),
      (["fill", "x4M"], 64, "such as 4x10G"),
      (["fill", "4x"], 64, "is not a size"),
      (["fill", "1x5000"], 1, "not a multiple"),
      (["fill", "1x999T"], 1, "999 TiB is needed"),
      (["fill", "65536x16777215T"], 1, "exceeds the largest size"),
      (["fill", "1x4M", "--add", "--reserve-hugepages"], 1, "takes no huge pages from a pool"),
      (["fill", "1x4M", "--add", "--host-numa-node", "1023"], 1, "node 1023"),
      (["gc", "--older-than", "-1"], 64, "a number of seconds"),
      (["bogus"], 64, "'bogus'"),
    ] as [([String], Int32, String)] {
      let all =
        words == ["bogus"] ? ["reservoir", "bogus"] : place.arguments(["reservoir"] + words)
      try HoldfastProgram(all).wait().expectFailure(status, text)
    }
    #expect(try place.rows() == ["4M 1 0 0"])
    try HoldfastProgram.run("reservoir", "status", "--mount", "/none").expectFailure(
      1, "the folder does not open")
    try HoldfastProgram.run("reservoir", "status", "--mount", "/proc").expectFailure(
      1, "neither hugetlbfs nor tmpfs")
  }

  @Test func eightLeasersOverFourFiles() throws {
    let place = try ReservoirPlace()
    try place.get("reservoir", "fill", "4x4M")
    let programs = try (0..<8).map {
      try place.start(["reservoir", "lease", "-m", "4M", "--name", "vm\($0)"])
    }
    let outcomes = try programs.map { try $0.wait() }
    let won = outcomes.filter { $0.status == 0 }
    #expect(won.count == 4 && Set(won.map(\.output)).count == 4)
    for outcome in outcomes where outcome.status != 0 {
      outcome.expectFailure(1, "cannot lease 4 MiB: no memory is ready; try: --wait")
    }
    #expect(try place.rows() == ["4M 0 4 0"])
  }

  @Test func aLeaseInUse() throws {
    let place = try ReservoirPlace()
    try place.get("reservoir", "fill", "4M")
    let path = String(try place.get("reservoir", "lease", "-m", "4M", "--name", "vm").dropLast())
    let file = open(path, O_RDWR | O_CLOEXEC)
    try place.run(["reservoir", "recycle", "vm"]).expectFailure(1, "open or mapped")
    #expect(try place.rows() == ["4M 0 1 0"])
    #expect(
      try place.get("reservoir", "recycle", "vm", "--or-release").contains("returned to the host"))
    close(file)
    #expect(try place.rows() == [])
  }

  @Test func aCancelledFill() throws {
    let place = try ReservoirPlace()
    let program = try place.start(["reservoir", "fill", "200x4M"])
    try #require(eventually { place.names("ready").count >= 3 })
    program.send(SIGTERM)
    let outcome = try program.wait()
    #expect(outcome.signal == SIGTERM && outcome.error.isEmpty, "\(outcome)")
    #expect(place.names("filling").isEmpty && place.names("ready").count >= 3)
    try place.get("reservoir", "drain")
  }
}

/// The rights of users, with members of a group and without.
@Suite(
  .enabled(
    if: HostNeeds.canChangeUser && HoldfastProgram.othersCanRun,
    "needs root, runuser, and a build folder that other users may enter"))
struct ReservoirUserTests {
  @Test func otherUsersHaveNoAccess() throws {
    let place = try ReservoirPlace()
    try place.get("reservoir", "fill", "4M")
    for words in [["lease", "-m", "4M"], ["status"], ["release", "vm"]] {
      try place.run(["reservoir"] + words, as: "nobody").expectFailure(1, "(Permission denied)")
    }
    for words in [["gc"], ["drain"], ["fill", "4M"], ["recycle", "vm"]] {
      try place.run(["reservoir"] + words, as: "nobody").expectFailure(1, "only user 0")
    }
    #expect(try place.rows() == ["4M 1 0 0"])
  }

  /// An owner without privileges uses the reservoir alone, and root may use it too.
  @Test func anOwnerOtherThanRoot() throws {
    let place = try ReservoirPlace(options: ["--owner", "nobody"])
    #expect(try place.run(["reservoir", "fill", "3x4M"], as: "nobody").status == 0)
    #expect(try place.run(["reservoir", "lease", "-m", "4M"], as: "nobody").status == 0)
    try place.get("reservoir", "lease", "-m", "4M", "--name", "roots")
    try place.run(["reservoir", "lease", "-m", "4M"], as: "daemon").expectFailure(1, "may not use")
    let run = try place.run(["run", "-m", "4M", "--", "true", "{memory}"], as: "nobody")
    #expect(run.status == 0 && run.error.isEmpty, "\(run)")
    #expect(try place.rows() == ["4M 1 2 0"])
    var status = stat()
    for name in place.names("ready") {
      #expect(stat(place.file("ready/" + name), &status) == 0)
      #expect(status.st_uid == 65534 && status.st_mode & 0o777 == 0o600)
    }
  }
}
