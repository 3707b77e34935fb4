import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

/// `holdfast bench template`.
@Suite(
  .enabled(
    if: HostNeeds.kvm && HostNeeds.userFault,
    "\(HostNeeds.kvmComment); \(HostNeeds.userFaultComment)"))
struct TemplateBenchProgramTests {
  private let place = HoldfastTestKit.TemplatePlace(.tmpfs)
}

extension TemplateBenchProgramTests {
  private func names() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: #require(place).path)
  }

  @Test func `all ways as JSON and as text, and the template is gone at the end`() throws {
    let folder = try #require(place).path
    for pages in [[], ["--base-pages"]] {
      let arguments =
        ["bench", "template", "-m", "64M", "--backing", "base", "--runs", "3", "--mount", folder]
        + pages
      let outcome = try HoldfastProgram(arguments + ["--format", "json"]).wait()
      #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
      let value = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
      let result = try #require(value as? [String: Any])
      #expect(result["memoryBytes"] as? Int == 64 << 20 && result["backing"] as? String == "base")
      #expect((result["firstTouchSeconds"] as? [Double])?.count == 3)
      let ways = try #require(result["results"] as? [[String: Any]])
      #expect(
        ways.map { $0["pages"] as? String } == [
          "on demand", "read ahead", "entered ahead", "copied",
        ])
      #expect(ways.allSatisfy { ($0["totalSeconds"] as? [Double])?.count == 3 })
      let touches = pages.isEmpty ? 4 : 103
      #expect(result["touches"] as? Int == touches)
      // The last fault is counted a moment after it has been served.
      let faults = ways[0]["pagedFaults"] as? [Int]
      #expect(faults?.allSatisfy { $0 >= touches - 1 } == true, "\(ways)")
      let missed = ways[0]["missedTouches"] as? [Int]
      #expect(missed?.allSatisfy { $0 == touches } == true, "\(ways)")
      #expect((ways[1]["metTouches"] as? [Int])?.count == 3)
      #expect(try names() == [])
    }
    let text = try HoldfastProgram([
      "bench", "template", "-m", "64M", "--runs", "1", "--backing", "base", "--mount", folder,
    ]).wait()
    #expect(
      text.status == 0 && text.output.hasPrefix("Clones of a template of 64 MiB in "), "\(text)")
  }

  @Test func `a signal ends it, and the template is gone`() throws {
    let folder = try #require(place).path
    for delay in [300_000, 900_000, 1_500_000] as [UInt32] {
      let program = try HoldfastProgram([
        "bench", "template", "-m", "64M", "--runs", "1000", "--backing", "base", "--mount", folder,
      ])
      usleep(delay)
      program.send(SIGINT)
      let outcome = try program.wait()
      #expect(outcome.signal == SIGINT, "\(outcome)")
      #expect(try names() == [])
    }
  }

  @Test func `the next run removes what a killed one left`() throws {
    let folder = try #require(place).path
    let words = ["bench", "template", "-m", "64M", "--backing", "base", "--mount", folder]
    let program = try HoldfastProgram(words + ["--runs", "1000"])
    #expect(eventually { (try? names())?.count == 1 })
    usleep(300_000)
    program.send(SIGKILL)
    #expect(try program.wait().signal == SIGKILL)
    let left = try names()
    try #require(left.count == 1 && left[0].hasPrefix("holdfast-bench-"), "\(left)")
    let outcome = try HoldfastProgram(words + ["--runs", "1"]).wait()
    #expect(outcome.status == 0, "\(outcome)")
    #expect(try names() == [])
  }

  @Test(arguments: [
    (["--memory", "3M"], 64, "2M"), (["--backing", "thp-private"], 64, "on demand"),
    (["--ahead-threads", "0"], 64, "from 1 to 64"),
    (["-m", "64M", "--mount", "/missing"], 1, "cannot be created"),
  ])
  func `bad input is an error`(words: [String], status: Int32, text: String) throws {
    let outcome = try HoldfastProgram(["bench", "template"] + words).wait()
    #expect(outcome.status == status && outcome.error.contains(text), "\(outcome)")
  }
}
