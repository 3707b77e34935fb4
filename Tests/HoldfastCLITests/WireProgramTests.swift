import Foundation
import HoldfastTestKit
import Testing

struct WireProgramTests {
  private func json(_ arguments: String...) throws -> [String: Any] {
    let outcome = try HoldfastProgram(arguments + ["--format", "json"]).wait()
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    let value = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
    return try #require(value as? [String: Any])
  }

  @Test(arguments: ["auto", "prefault", "fault"])
  func theReceiptAsJSON(path: String) throws {
    let receipt = try json("wire", "--memory", "64M", "--backing", "base", "--path", path)
    let bytes = 64 << 20
    for key in ["requestedBytes", "residentBytes", "wiredBytes", "zeroedAheadBytes"] {
      #expect(receipt[key] as? Int == bytes, "\(key)")
    }
    #expect(receipt["zeroedNowBytes"] as? Int == 0)
    #expect(receipt["pages"] as? [String: Int] == ["4096": bytes / 4096])
    let domains = try #require(receipt["domains"] as? [[String: Any]])
    #expect(domains.reduce(0) { $0 + ($1["bytes"] as? Int ?? 0) } == bytes)
    // A kernel without NUMA shows no nodes.
    if let nodes = receipt["nodes"] as? [String: Int] {
      #expect(nodes.values.reduce(0, +) == bytes)
    }
    #expect(receipt["backing"] as? String == "base")
    #expect(receipt["path"] as? String == (path == "fault" ? "fault" : "prefault"))
    #expect(receipt["verified"] as? Bool == true)
    #expect(receipt["problems"] as? [String] == [])
    let fallbacks = try #require(receipt["fallbacks"] as? [String])

    let locked = try #require(receipt["lockedBytes"] as? Int)
    #expect(locked == bytes || locked == 0)
    #expect((locked == 0) == (receipt["lockProblem"] is String))
    #expect(fallbacks.contains { $0.hasPrefix("not locked: ") } == (locked == 0))

    let wire = try #require(receipt["wireSeconds"] as? Double)
    let arena = try #require(receipt["arenaSeconds"] as? Double)
    let stages = try #require(receipt["stages"] as? [String: Double])
    #expect(wire > 0 && arena > 0 && stages.count == 4)
    #expect(stages.values.reduce(0, +) <= wire)
  }

  @Test func scrubbingBetweenTwoGuests() throws {
    let result = try json(
      "bench", "scrub", "--memory", "8M", "--backing", "base", "--scrub-threads", "2",
      "--rate", "1G")
    let second = try #require(result["secondWire"] as? [String: Any])
    #expect(second["zeroedNowBytes"] as? Int == 0 && second["zeroedAheadBytes"] as? Int == 8 << 20)
    #expect(result["isZero"] as? Bool == true)
    let outcome = try HoldfastProgram.run("bench", "scrub", "-m", "8M", "--backing", "base")
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    #expect(outcome.output.contains("8 MiB zeroed ahead, 0 now\ncontents  all zero\n"))
  }

  @Test func theReceiptAsText() throws {
    let outcome = try HoldfastProgram.run("wire", "-m", "6MiB", "--backing", "BASE")
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    let lines = outcome.output.split(separator: "\n")
    #expect(lines[0].hasPrefix("6 MiB of guest memory wired in "))
    for line in [
      "requested  6 MiB", "resident   6 MiB", "wired      6 MiB", "pages      1,536 of 4 KiB",
      "zeroed     6 MiB ahead, 0 now", "backing    base, as asked", "path       prefault",
    ] {
      #expect(lines.contains(Substring(line)), "\(outcome.output)")
    }
    #expect(outcome.output.contains("\nverified   yes, against pagemap and mincore"))
  }

  @Test func invariantsAreCheckedOnRequest() throws {
    let receipt = try json("wire", "-m", "16M", "--backing", "base", "--check-invariants")
    #expect(receipt["checkedInvariants"] as? Bool == true)
    #expect(receipt["problems"] as? [String] == [] && receipt["verified"] as? Bool == true)
    let text = try HoldfastProgram.run("wire", "-m", "4M", "--backing=base", "--check-invariants")
    #expect(text.output.contains("\ninvariants  every frame, page and translation is consistent\n"))
    let without = try json("wire", "-m", "4M", "--backing", "base")
    #expect(without["checkedInvariants"] as? Bool == false)
  }

  @Test func aNumberWithoutUnitIsInBytesAndNoted() throws {
    let outcome = try HoldfastProgram.run("wire", "--memory", "8192", "--backing", "base")
    #expect(outcome.status == 0 && outcome.output.hasPrefix("8 KiB of guest memory wired in "))
    #expect(outcome.error == "holdfast: note: 8192 is in bytes; for MiB write 8192M\n")
  }

  @Test func automaticBackingReportsWhyNotABetterOne() throws {
    let receipt = try json("wire", "--memory", "68K", "--threads", "1")
    let fallbacks = try #require(receipt["fallbacks"] as? [String])
    #expect(fallbacks.contains("hugetlb-1G: 68 KiB is not a multiple of 1 GiB"))
    #expect(receipt["backingReason"] as? String == "the best that fits")
    #expect(receipt["threads"] as? Int == 1)
  }

  @Test(.enabled(if: HostNeeds.canChangeUser, "needs root, runuser and a user nobody"))
  func anyUserCanWire() throws {
    // Other users may be unable to read the folder of the tests.
    let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())")
    try FileManager.default.createDirectory(
      at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    defer { try? FileManager.default.removeItem(at: folder) }
    let program = folder.appending(path: "holdfast").path
    // Another process copies: a program that another test starts while this process has the copy
    // open for writing would inherit the descriptor, and the copy could not be executed.
    let copy = try Process.run(
      URL(filePath: "/bin/cp"), arguments: [HoldfastProgram.path, program])
    copy.waitUntilExit()

    let limited = ["prlimit", "--memlock=65536", "runuser", "-u", "nobody", "--", program]
    // Swift's libraries may be in a folder that only root can read.
    let trial = try HoldfastProgram(["--version"], command: limited).wait()
    guard trial.status == 0 else { try Test.cancel("nobody cannot run it: \(trial.error)") }
    let arguments = ["wire", "--memory", "64M", "--backing", "base"]
    let outcome = try HoldfastProgram(arguments, command: limited).wait()
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    #expect(outcome.output.contains("\nlocked     none\n"))
    #expect(outcome.output.contains("\nNot locked: the host may swap this memory out. mlock(2)"))
    #expect(outcome.output.contains("verified   yes"))

    let strict = try HoldfastProgram(arguments + ["--require-locked"], command: limited).wait()
    strict.expectFailure(1, "cannot lock 64 MiB of memory: mlock(2) failed")
    let reserving = try HoldfastProgram(
      ["wire", "--memory", "1G", "--reserve-hugepages"], command: limited
    ).wait()
    // The pool may have enough free pages.
    if reserving.status != 0 { reserving.expectFailure(1, "nr_hugepages cannot be written") }
  }

  @Test func theHostAsText() throws {
    let outcome = try HoldfastProgram.run("host", "--memory", "3G")
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    #expect(outcome.output.hasPrefix("processors   "))
    #expect(outcome.output.contains("\nFor 3 GiB of guest memory:\n"))
    #expect(outcome.output.contains("\nzeroing      "))
  }

  @Test(arguments: [["host"], ["wire", "--memory", "8M"]])
  func theEnvironmentSelectsTheWayToZero(arguments: [String]) throws {
    let known = ["env", "HOLDFAST_ZEROING=memset", HoldfastProgram.path]
    let outcome = try HoldfastProgram(arguments, command: known).wait()
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    if arguments == ["host"] {
      #expect(outcome.output.contains("\nzeroing      memset, set by HOLDFAST_ZEROING\n"))
    }
    let unknown = ["env", "HOLDFAST_ZEROING=quickly", HoldfastProgram.path]
    try HoldfastProgram(arguments, command: unknown).wait()
      .expectFailure(1, "'quickly' is not a way to zero memory; try: one of memset, ")
  }

  @Test func theHostAsJSON() throws {
    let report = try json("host", "--memory", "3G")
    #expect(report["memoryBytes"] as? Int == 3 << 30)
    #expect(report["level"] is String && report["availableForGuestsBytes"] is Int)
    #expect((report["host"] as? [String: Any])?["memory"] is [String: Any])
    let zeroing = try #require(report["zeroing"] as? [String: Any])
    #expect(zeroing["kernel"] is String && zeroing["origin"] is String)
    #expect(zeroing["threads"] is Int && zeroing["speeds"] is [[String: Any]])
    let findings = try #require(report["findings"] as? [[String: Any]])
    #expect(findings.count >= 5 && findings.allSatisfy { $0["statement"] is String })
  }
}

/// `holdfast wire --from-reservoir`.
struct WireFromReservoirTests {
  @Test func leasesWiresAndEndsTheLease() throws {
    let place = try ReservoirPlace()
    try place.get("reservoir", "fill", "8M")
    let words = ["wire", "--from-reservoir", "--mount", place.path, "--memory", "8M"]
    let outcome = try HoldfastProgram(words + ["--check-invariants", "--format", "json"]).wait()
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    let value = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
    let receipt = try #require(value as? [String: Any])
    #expect(receipt["verified"] as? Bool == true && receipt["backing"] as? String == "base")
    #expect(receipt["backingReason"] as? String == "from the reservoir")
    #expect(receipt["zeroedAheadBytes"] as? Int == 8 << 20)
    let lease = try #require(receipt["lease"] as? [String: Any])
    #expect((lease["path"] as? String)?.hasPrefix(place.file("leased/")) == true)
    #expect((lease["end"] as? [String: Any])?["outcome"] as? String == "replaced")
    #expect(try place.rows() == ["8M 1 0 0"])
    let text = try HoldfastProgram(words).wait().output
    #expect(text.contains("\nlease end  in ") && text.contains("new memory is ready.\n"), "\(text)")
    #expect(try place.rows() == ["8M 1 0 0"])
  }

  @Test(arguments: [
    (["--from-reservoir"], 64, "'--from-reservoir' requires '--memory <size>'"),
    (["--mount", "/x"], 64, "'--mount' requires '--from-reservoir'"),
    (["--from-reservoir", "-m", "4M", "--backing", "base"], 64, "'--backing' cannot be combined"),
    (
      ["--from-reservoir", "-m", "4M", "--host-numa-node", "0"], 64,
      "'--host-numa-node' cannot be combined"
    ),
    (
      ["--from-reservoir", "-m", "4M", "--reserve-hugepages"], 64,
      "'--reserve-hugepages' cannot be combined"
    ),
    (["--from-reservoir", "-m", "4M", "--mount", "/proc"], 1, "neither hugetlbfs nor tmpfs"),
  ])
  func errors(words: [String], status: Int32, text: String) throws {
    let outcome = try HoldfastProgram(["wire"] + words).wait()
    #expect(outcome.status == status && outcome.error.contains(text), "\(outcome)")
    #expect(outcome.error.split(separator: "\n").count == 1 && outcome.output.isEmpty)
  }
}
