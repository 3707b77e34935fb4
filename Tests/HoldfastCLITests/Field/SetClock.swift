import Foundation
import HoldfastTestKit
import Testing

extension FieldTests {
  /// A wall clock that jumps, as at the first synchronization after a boot without a battery. The
  /// host's clock stays as it is; the time since the boot is that of a namespace.
  @Suite(.enabled(if: Situation.canMake("--uptime", "1000"), Situation.comment))
  struct SetClock {
    /// Collects by age with a time since the boot, and returns the line of the report.
    private func collect(_ place: ReservoirPlace, age: String, uptime: Int) throws -> String {
      let words = place.arguments(["reservoir", "gc", "--older-than", age])
      let outcome = try Situation.run(["--uptime", "\(uptime)"], words)
      #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
      return String(outcome.output.dropLast())
    }

    /// Leases with a time since the boot, and returns the one that was noted, which is later by as
    /// much as the program took to start.
    @discardableResult
    private func lease(_ place: ReservoirPlace, uptime: Int) throws -> Int {
      try place.get("reservoir", "fill", "1x4M")
      let words = place.arguments(["reservoir", "lease", "-m", "4M", "--name", "vm"])
      let outcome = try Situation.run(["--uptime", "\(uptime)"], words)
      #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
      var status = stat()
      try #require(stat(place.file("leased/0/vm"), &status) == 0)
      try #require(status.st_mtim.tv_sec >= uptime)
      return status.st_mtim.tv_sec
    }

    /// Lets leases become older than 30 seconds. The age is that far from the moments of the tests,
    /// because a busy machine may take seconds to start a program.
    private func makeOlder() async throws { try await Task.sleep(for: .seconds(32)) }

    @Test func `an age beyond the time since the boot is not believed`() async throws {
      let place = try ReservoirPlace()
      try lease(place, uptime: 100_000)
      try await makeOlder()
      #expect(
        try collect(place, age: "30", uptime: 1)
          == "1 of unknown age left alone, since the clock was set")
      #expect(try place.rows() == ["4M 0 1 0"])
    }

    @Test func `a lease that the wall clock alone makes old is not collected`() async throws {
      let place = try ReservoirPlace()
      let noted = try lease(place, uptime: 1000)
      try await makeOlder()
      // As if the clock had been set forward right after the lease.
      #expect(try collect(place, age: "30", uptime: noted) == "nothing to do")
      #expect(try place.rows() == ["4M 0 1 0"])
      // When it is old by both clocks, it is collected.
      let outcome = try collect(place, age: "30", uptime: noted + 1000)
      #expect(outcome == "1 replaced by new memory; 4 MiB")
    }

    @Test func `status shows no age beyond the time since the boot`() async throws {
      let place = try ReservoirPlace()
      try lease(place, uptime: 100_000)
      try await makeOlder()
      let words = place.arguments(["reservoir", "status", "--leases", "--format", "json"])
      let outcome = try Situation.run(["--uptime", "1"], words)
      let object = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
      let leases = (object as? [String: Any])?["leases"] as? [[String: Any]]
      let seconds = try #require(leases?.first?["seconds"] as? Int, "\(outcome)")
      #expect(seconds < 30)
    }
  }
}
