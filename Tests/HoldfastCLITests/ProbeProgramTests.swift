import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

/// `holdfast probe`, run with real guests.
@Suite(
  .enabled(if: HostNeeds.kvm, "\(HostNeeds.kvmComment)"),
  .enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
struct ProbeProgramTests {}

extension ProbeProgramTests {
  private func probe(_ arguments: String...) throws -> [String: Any] {
    let outcome = try HoldfastProgram(["probe"] + arguments + ["--format", "json"]).wait()
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    let value = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
    let result = try #require(value as? [String: Any])
    #expect(result["verified"] as? Bool == true && result["problems"] as? [String] == [])
    #expect(result["nonzeroBytes"] as? Int == 0 && result["wrongBytes"] as? Int == 0)
    #expect(try #require(result["touchSeconds"] as? Double) > 0)
    #expect(result["residentBytes"] as? Int == result["memoryBytes"] as? Int)
    #expect((result["exits"] as? [String: Int])?.keys.sorted() == ["halted"])
    return result
  }

  @Test func `every mode has the same keys`() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())").path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let keys = try [
      probe("-m", "16M", "--mode", "wired", "--backing", "base"),
      probe("-m", "16M", "--mode", "fork", "--backing", "base"),
      probe("-m", "16M", "--mode", "snapshot", "--backing", "base", "--snapshot-file", folder),
    ].map { Set($0.keys) }
    #expect(keys[0] == keys[1] && keys[1] == keys[2])
  }

  @Test func `a guest on wired memory takes no page fault`() throws {
    let result = try probe("--memory", "64M", "--mode", "wired", "--backing", "base")
    #expect(result["mode"] as? String == "wired" && result["memoryBytes"] as? Int == 64 << 20)
    #expect(result["demandFaults"] as? Int == 0 && result["copyFaults"] as? Int == 0)
    #expect(result["touchedPages"] as? Int == 64 << 8 && result["backing"] as? String == "base")
    #expect(result["wireSeconds"] is Double && result["forkSeconds"] is NSNull)
  }

  @Test(arguments: [1, 3]) func `demand paging adds the pages that a guest accesses`(cpus: Int)
    throws
  {
    let result = try probe("--memory", "64M", "--backing", "base", "--cpus", "\(cpus)")
    #expect(result["mode"] as? String == "demand" && result["cpus"] as? Int == cpus)
    // A fault adds a large page, and two processors may fault on the same one.
    let faults = try #require(result["demandFaults"] as? Int)
    #expect(faults >= 32 && faults <= 32 + 4 * cpus && result["copyFaults"] as? Int == 0)
    #expect((result["exits"] as? [String: Int])?["halted"] == cpus)
  }

  @Test func `a fork reads its parent's pages and writes to copies`() throws {
    let result = try probe("-m", "64M", "--mode", "fork", "--backing", "base", "--cpus", "2")
    #expect(result["forkSharedBytes"] as? Int == 48 << 20)
    #expect(try #require(result["copyFaults"] as? Int) >= 24)
    #expect(try #require(result["copiedFaults"] as? Int) >= 24)
    for key in ["fillSeconds", "forkSeconds", "writeSeconds"] { #expect(result[key] is Double) }
  }

  @Test func `a snapshot is restored on demand, and its file is kept on request`() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let environment = ["env", "TMPDIR=" + folder.path, HoldfastProgram.path]
    let arguments = ["probe", "-m", "64M", "--mode", "snapshot", "--backing", "base"]
    let outcome = try HoldfastProgram(arguments, command: environment).wait()
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    #expect(outcome.output.contains("48 MiB written of 64 MiB\n"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
    let file = folder.appending(path: "image").path
    let result = try probe(
      "-m", "64M", "--mode", "snapshot", "--backing", "base", "--snapshot-file", file)
    #expect(
      result["snapshotBytes"] as? Int == 64 << 20 && result["snapshotFile"] as? String == file)
    #expect(result["snapshotWrittenBytes"] as? Int == 48 << 20)
    #expect(try #require(result["pagedFaults"] as? Int) >= 24)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["image"])
    let arguments2 = arguments + ["--snapshot-file", folder.path + "/none/image"]
    try HoldfastProgram(arguments2).wait().expectFailure(1, "cannot be opened")
  }

  @Test(.enabled(if: HostNeeds.hugePages(.mebibytes(128)), "\(HostNeeds.hugePagesComment)"))
  func `each mode works on huge pages`() throws {
    try HugePageLock.withLock {
      for mode in ["wired", "demand", "fork", "snapshot"] {
        let result = try probe("-m", "64M", "--mode", mode, "--backing", "hugetlb-2M")
        #expect(result["backing"] as? String == "hugetlb-2M")
      }
    }
  }

  @Test func `the result as text`() throws {
    let outcome = try HoldfastProgram.run("probe", "-m", "6MiB", "--mode=wired", "--backing=base")
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    let lines = outcome.output.split(separator: "\n")
    #expect(lines[0].hasPrefix("A guest with 1 processor accessed 6 MiB in "))
    #expect(lines[0].hasSuffix(", no page faults, contents verified."))
    for line in [
      "backing     base", "faults      none", "exits       1 halted", "resident    6 MiB",
      "zero check  all new memory is zero", "verified    yes",
    ] {
      #expect(lines.contains(Substring(line)), "\(outcome.output)")
    }
  }

  @Test(arguments: ["wired", "demand", "fork", "snapshot"])
  func `two pages are enough for a guest`(mode: String) throws {
    let result = try probe("-m", "8K", "--mode", mode, "--backing", "base")
    #expect(result["touchedPages"] as? Int == 2)
  }

  @Test func `bad arguments are usage errors`() throws {
    func refused(_ words: String, _ arguments: String...) throws {
      try HoldfastProgram(["probe"] + arguments).wait().expectFailure(64, words)
    }
    try refused("requires shared memory", "-m", "64M", "--backing", "thp-private")
    try refused("requires '--mode snapshot'", "-m", "64M", "--snapshot-file", "/tmp/x")
    try refused("1 to 1024", "-m", "64M", "--cpus", "0")
    try refused("less than 511G", "-m", "1T")
    try refused("'wired', 'demand', 'fork' or 'snapshot'", "--mode", "fast")
    let large = try HoldfastProgram.run("probe", "-m", "500G", "--backing", "base")
    large.expectFailure(1, "500 GiB")
    let twice = try HoldfastProgram.run("probe", "-m", "400G", "--mode=fork", "--backing=base")
    twice.expectFailure(1, "for a guest of 400 GiB and its fork")
  }

  @Test(.enabled(if: HostNeeds.canChangeUser, "needs root, runuser and a user nobody"))
  func `without KVM the error says what to do`() throws {
    guard HoldfastProgram.othersCanRun else { try Test.cancel("nobody cannot run the program") }
    let nobody = ["runuser", "-u", "nobody", "--", HoldfastProgram.path]
    let outcome = try HoldfastProgram(["probe", "-m", "64M"], command: nobody).wait()
    // On some hosts every user may use KVM.
    guard outcome.status != 0 else { return }
    #expect(outcome.status == 1 && outcome.error.contains("; try: "), "\(outcome)")
    #expect(outcome.error.hasPrefix("holdfast: error: cannot "))
  }
}
