import Foundation
import HoldfastTestKit
import Testing

extension FieldTests {
  /// Without /proc, as in a jail or an initial file system.
  @Suite(.enabled(if: Situation.canMake("--no-proc"), Situation.comment))
  struct MissingProc {
    private func run(_ arguments: [String]) throws -> HoldfastProgram.Outcome {
      try Situation.run(["--no-proc"], arguments)
    }

    /// The commands get their arguments, and their errors are those of other places.
    @Test func theArgumentsArrive() throws {
      let outcome = try run(["--version"])
      #expect(outcome.status == 0 && outcome.output.hasPrefix("holdfast 0."), "\(outcome)")
      try run(["wire", "--memory", "3Q"]).expectFailure(64, "'3Q'")
      try run(["nonsense"]).expectFailure(64, "nonsense")
      let help = try run(["wire", "--help"])
      #expect(help.status == 0 && help.output.contains("USAGE: holdfast wire"), "\(help)")
    }

    @Test func hostAndSimulate() throws {
      let host = try run(["host"])
      #expect(host.status == 0 && host.output.contains("base page    4 KiB"), "\(host)")
      // capget(2) says that root may lock memory.
      #expect(!host.output.contains("this process may lock only"), "\(host)")
      let words = ["--memory", "1G", "--guests", "2", "--duration", "1h", "--format", "json"]
      let simulation = try run(["simulate"] + words)
      #expect(simulation.status == 0 && simulation.output.hasPrefix("{"), "\(simulation)")
    }

    /// What cannot do without /proc says so.
    @Test func wireNamesWhatItMisses() throws {
      let outcome = try run(["wire", "--memory", "4M", "--backing", "base"])
      outcome.expectFailure(1, "/proc/self/smaps cannot be read")
    }

    @Test func findingTheReservoirNamesTheMountOption() throws {
      for command in [["init"], ["status"], ["fill", "1x4M"], ["gc"], ["lease", "-m", "4M"]] {
        let outcome = try run(["reservoir"] + command)
        outcome.expectFailure(1, "/proc/self/mountinfo cannot be read")
        #expect(outcome.error.contains("try: --mount <folder>"), "\(outcome)")
      }
    }

    @Test func theReservoirAndRun() throws {
      let place = try ReservoirPlace()
      func get(_ words: String...) throws -> String {
        let outcome = try run(place.arguments(words))
        #expect(outcome.status == 0, "\(outcome)")
        return outcome.output
      }
      _ = try get("reservoir", "fill", "2x4M", "--threads", "1")
      #expect(try place.rows() == ["4M 2 0 0"])
      #expect(try get("reservoir", "lease", "-m", "4M", "--name", "a").hasSuffix("/a\n"))
      _ = try get("reservoir", "recycle", "a")
      let script = "exec wc -c <\"$1\""
      #expect(try get("run", "-m", "4M", "--", "sh", "-c", script, "x", "{memory}") == "4194304\n")
      _ = try get("reservoir", "gc")
      _ = try get("reservoir", "drain")
      #expect(try place.rows() == [])
    }

    /// `run` started nothing and succeeded.
    @Test func runStartsTheMonitor() throws {
      let place = try ReservoirPlace()
      let words = place.arguments(["run", "-m", "4M", "--", "false", "{memory}"])
      try run(words).expectFailure(1, "no memory is ready")
    }
  }
}
