import Foundation
import HoldfastTestKit
import Testing

extension FieldTests {
  /// A /proc that shows processes only, and so has neither meminfo nor sys (`subset=pid`).
  @Suite(.enabled(if: Situation.canMake("--proc-subset-pid"), Situation.comment))
  struct PartialProcTests {
    private let place = ["--proc-subset-pid"]

    @Test func `the memory is known, and used`() throws {
      let outcome = try Situation.run(place, ["host", "--format", "json"])
      let value = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
      let report = try #require(value as? [String: Any], "\(outcome)")
      #expect(report["availableForGuestsBytes"] as? Int ?? 0 > 1 << 20, "\(outcome)")
      let wire = try Situation.run(place, ["wire", "--memory", "16M", "--backing", "base"])
      #expect(wire.status == 0, "\(wire)")
    }

    @Test func `a reservoir on tmpfs is filled, on a node too, and a lease grows`() throws {
      let served = try ReservoirPlace()
      for command in [
        ["fill", "1x4M"], ["fill", "2x4M", "--host-numa-node", "0"],
        ["lease", "--size", "8M", "--grow"],
      ] {
        let outcome = try Situation.run(place, served.arguments(["reservoir"] + command))
        #expect(outcome.status == 0, "\(outcome)")
      }
    }

    @Test func `what the memory does not have is refused all the same`() throws {
      let outcome = try Situation.run(place, ["wire", "--memory", "64T", "--backing", "base"])
      outcome.expectFailure(1, "are available")
    }
  }
}
