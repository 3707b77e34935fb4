import HoldfastCore
import Testing

@testable import HoldfastCLI

struct WordingTests {
  @Test(
    arguments: [
      (0, "0"), (999, "999"), (5120, "5,120"), (2_621_440, "2,621,440"),
      (.max, "18,446,744,073,709,551,615"),
    ] as [(UInt64, String)])
  func groupedCounts(_ count: UInt64, _ text: String) {
    #expect(grouped(count) == text)
  }

  @Test(
    arguments: [
      (.zero, "0.00 µs"), (.nanoseconds(912), "0.91 µs"), (.microseconds(912), "912 µs"),
      (.nanoseconds(9_994), "9.99 µs"), (.nanoseconds(9_996), "10.0 µs"),
      (.nanoseconds(999_600), "1.00 ms"), (.microseconds(92_500), "92.5 ms"),
      (.milliseconds(1320), "1.32 s"), (.seconds(75), "75.0 s"), (.seconds(4000), "4000 s"),
    ] as [(Duration, String)])
  func durations(_ duration: Duration, _ text: String) {
    #expect(formatted(duration) == text)
  }

  @Test func rates() {
    #expect(rate(.gibibytes(10), in: .seconds(2)) == "5.0 GiB/s")
    #expect(rate(.mebibytes(10), in: .seconds(2)) == "5 MiB/s")
    #expect(rate(.mebibytes(10), in: .zero) == "-")
  }

  @Test func progressLines() {
    func line(_ done: UInt64, columns: Int) -> String {
      ProgressBar.line(
        "work", .bytes(done: .mebibytes(done), total: .gibibytes(4)), elapsed: .seconds(2),
        columns: columns)
    }
    #expect(
      line(1024, columns: 80)
        == "work  [#######-----------------------]  1.0 GiB of 4.0 GiB, 512 MiB/s, 6 s left")
    #expect(line(4096, columns: 200).contains("[" + String(repeating: "#", count: 40) + "]"))
    #expect(line(4096, columns: 200).hasSuffix("2.0 GiB/s, 0 s left"))
    #expect(line(0, columns: 80).hasSuffix("0 MiB of 4.0 GiB, 0 MiB/s"))
    for columns in 0...200 { #expect(line(512, columns: columns).count < max(columns, 1)) }
    #expect(
      ProgressBar.line("work", .unknown, elapsed: .milliseconds(1260), columns: 80)
        == "work  1.3 s")
    #expect(ProgressBar.line("work", .unknown, elapsed: .zero, columns: 3) == "wo")
    #expect(
      ProgressBar.line(
        "work", .steps(done: 3, total: 4, name: "run 2 of 2, fault"), elapsed: .seconds(9),
        columns: 50) == "work  [#########---]  3 s left, run 2 of 2, fault")
  }

  @Test(
    arguments: [
      ("Nobody needs it", ["nobody"]), ("no user is named 'nobody'", []),
      ("memory is brought\n    in whole", ["brought in"]), ("--wait tells", ["tells"]),
      ("page faults are served", []),
    ] as [(String, [String])])
  func bannedPhrases(_ text: String, _ phrases: [String]) {
    #expect(PlainEnglish.bannedPhrases(in: text) == phrases)
  }

  @Test func errorsStayOnOneLine() {
    #expect(Output.singleLine("a\nb\u{1B}[2Jc\td é") == "a b?[2Jc?d é")
  }
}
