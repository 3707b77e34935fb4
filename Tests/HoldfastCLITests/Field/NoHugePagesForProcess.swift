import HoldfastTestKit
import Testing

extension FieldTests {
  /// PR_SET_THP_DISABLE, which a process inherits: systemd's `MemoryTHP=`, and some supervisors.
  @Suite(.enabled(if: Situation.canMake("--no-thp", "0"), Situation.comment))
  struct NoHugePagesForProcess {
    private let reason = "transparent huge pages are disabled for this process (PR_SET_THP_DISABLE"

    @Test(
      .enabled(if: HostNeeds.sharedHugePages, "\(HostNeeds.sharedHugePagesComment)"),
      arguments: ["thp", "thp-private"], [[], ["--deny", "prctl=EPERM"]])
    func `a receipt says so, and blames no fragmentation`(
      backing: String, filter: [String]
    ) throws {
      let words = ["wire", "-m", "8M", "--backing", backing]
      let outcome = try Situation.run(["--no-thp", "0"] + filter, words)
      #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
      #expect(outcome.output.contains("fallback   " + reason), "\(outcome)")
      #expect(outcome.output.contains("pages      2,048 of 4 KiB"), "\(outcome)")
      #expect(!outcome.output.contains("fragmented"), "\(outcome)")
    }

    @Test func `the automatic choice takes none, and says so`() throws {
      // Not a multiple of a huge page of hugetlb, which the choice prefers.
      let outcome = try Situation.run(
        ["--no-thp", "0"], ["wire", "-m", "9M", "--backing", "auto"])
      #expect(outcome.status == 0, "\(outcome)")
      #expect(outcome.output.contains("fallback   thp: " + reason), "\(outcome)")
      #expect(outcome.output.contains("backing    base"), "\(outcome)")
    }

    @Test func `the host's report says so`() throws {
      let outcome = try Situation.run(["--no-thp", "0"], ["host", "--memory", "64M"])
      #expect(outcome.output.contains(", disabled for this process (PR_SET_THP_DISABLE)\n"))
      #expect(outcome.output.contains("could be better  " + reason), "\(outcome)")
    }

    /// Flag 2, PR_THP_DISABLE_EXCEPT_ADVISED of Linux 6.18: memory that asks for them gets them.
    @Test(
      .enabled(if: Situation.canMake("--no-thp", "2"), "needs Linux 6.18"),
      .enabled(if: HostNeeds.sharedHugePages, "\(HostNeeds.sharedHugePagesComment)"))
    func `memory that asks for huge pages gets them where only others do not`() throws {
      let outcome = try Situation.run(["--no-thp", "2"], ["host", "--memory", "64M"])
      #expect(!outcome.output.contains("PR_SET_THP_DISABLE"), "\(outcome)")
      let wired = try Situation.run(["--no-thp", "2"], ["wire", "-m", "8M", "--backing", "thp"])
      #expect(!wired.output.contains("PR_SET_THP_DISABLE"), "\(wired)")
    }
  }
}
