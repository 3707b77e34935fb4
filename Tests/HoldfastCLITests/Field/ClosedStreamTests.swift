import Foundation
import HoldfastTestKit
import Testing

extension FieldTests {
  /// Standard streams that a supervisor closed.
  struct ClosedStream {
    @Test(arguments: [">&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
    func runNeedsNone(_ closing: String) throws {
      let place = try ReservoirPlace()
      try place.get("reservoir", "fill", "1x4M")
      let mark = place.path + "/mark"
      let script =
        "exec \"$0\" run --mount \"$1\" -m 4M -- sh -c 'touch \"$1\"; exit 9' x \"$2\" {fd}"
      let outcome = try HoldfastProgram(
        [HoldfastProgram.path, place.path, mark], command: ["sh", "-c", script + " " + closing]
      ).wait()
      #expect(outcome.status == 9, "\(outcome)")
      #expect(access(mark, F_OK) == 0)
      #expect(try place.rows() == ["4M 1 0 0"])
    }

    /// A command whose result would be lost does no work.
    @Test func resultsNeedStandardOutput() throws {
      let place = try ReservoirPlace()
      try place.get("reservoir", "fill", "1x4M")
      let words = place.arguments(["reservoir", "lease", "-m", "4M"])
      try HoldfastProgram(words, output: .closed).wait()
        .expectFailure(1, "standard output is closed")
      #expect(try place.rows() == ["4M 1 0 0"])
    }
  }
}
