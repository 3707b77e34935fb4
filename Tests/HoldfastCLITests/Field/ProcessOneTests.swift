import Foundation
import HoldfastTestKit
import Testing

extension FieldTests {
  /// `holdfast run` as process 1 of a container, whose processes inherit the orphans.
  @Suite(.enabled(if: Situation.canMake("--pid-namespace"), Situation.comment))
  struct ProcessOne {
    private func run(_ script: String) throws -> HoldfastProgram.Outcome {
      let place = try ReservoirPlace()
      try place.get("reservoir", "fill", "1x4M")
      let outcome = try Situation.run(
        ["--pid-namespace"],
        place.arguments(["run", "-m", "4M", "--", "sh", "-c", script, "{memory}"]))
      #expect(try place.rows() == ["4M 1 0 0"])
      return outcome
    }

    /// Orphans that have ended are reaped while the monitor runs.
    @Test func orphansAreReaped() throws {
      let outcome = try run(
        """
        for i in 1 2 3 4 5 6 7 8; do (sleep 0.05 & exit 0); done
        for i in $(seq 200); do
          sleep 0.05
          [ "$(ls -d /proc/[0-9]* | wc -l)" -gt 6 ] || break
        done
        grep -l '^State:.Z' /proc/[0-9]*/status
        echo done
        """)
      #expect(outcome.status == 0 && outcome.output == "done\n", "\(outcome)")
    }

    /// The program ends when the monitor has, whatever else still runs or ended at the same time.
    @Test func theMonitorsEndIsTheEnd() throws {
      let start = ContinuousClock.now
      let outcome = try run("(sleep 0.01 & exit 0); sleep 300 >/dev/null 2>&1 <&- & exit 7")
      #expect(outcome.status == 7, "\(outcome)")
      #expect(ContinuousClock.now - start < .seconds(60))
    }
  }
}
