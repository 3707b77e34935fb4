import Foundation
import HoldfastTestKit
import Testing

extension FieldTests {
  /// `holdfast run` with a file for each NUMA node of a guest.
  struct SeveralMemories {
    private func place(_ files: String...) throws -> ReservoirPlace {
      let place = try ReservoirPlace()
      for files in files { try place.get("reservoir", "fill", files) }
      return place
    }

    private func shell(_ script: String, _ sizes: [String], _ words: [String]) -> [String] {
      ["run", "--name", "vm"] + sizes.flatMap { ["-m", $0] } + ["--", "sh", "-c", script, "x"]
        + words
    }

    @Test func allAreLeasedAndGivenBack() throws {
      let place = try place("1x4M", "1x8M")
      let script = "wc -c <$1; wc -c <$2; shift 2; echo $*; ls /proc/self/fd/$1 /proc/self/fd/$2"
      let words = [
        "{memory.0}", "{memory.1}", "{fd.0}", "{fd.1}", "{name.0}", "{name.1}", "{size}", "{bytes}",
        "{mib}", "{size.0}", "{bytes.1}", "{mib.1}",
      ]
      let outcome = try place.run(shell(script, ["4M", "8M"], words))
      #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
      let lines = outcome.output.split(separator: "\n")
      try #require(lines.count == 5, "\(outcome)")
      #expect(lines[0] == "4194304" && lines[1] == "8388608")
      #expect(lines[2].hasSuffix(" vm-0 vm-1 12M 12582912 12 4M 8388608 8"), "\(lines[2])")
      #expect(try place.rows().sorted() == ["4M 1 0 0", "8M 1 0 0"])
    }

    /// While the monitor runs, all are leased; a kill of it gives all back.
    @Test func allAreHeld() throws {
      let place = try place("2x4M")
      let mark = place.path + "/mark"
      let program = try place.start(
        shell("touch \(mark); exec sleep 60", ["4M", "4M"], ["{fd.0}", "{fd.1}"]))
      try #require(eventually { access(mark, F_OK) == 0 })
      #expect(try place.rows() == ["4M 0 2 0"])
      program.send(SIGTERM)
      #expect(try program.wait().status == 128 + SIGTERM)
      #expect(try place.rows() == ["4M 2 0 0"])
    }

    @Test func allOrNothing() throws {
      let place = try place("1x4M")
      let outcome = try place.run(shell("true", ["4M", "8M"], ["{fd.0}", "{fd.1}"]))
      outcome.expectFailure(1, "cannot lease 8 MiB")
      #expect(try place.rows() == ["4M 1 0 0"])
      #expect(place.names("leased/\(geteuid())") == [])
    }

    @Test func aStartThatFailsGivesAllBack() throws {
      let place = try place("2x4M")
      try place.run(["run", "-m", "4M", "-m", "4M", "--", "/none", "{fd.0}", "{fd.1}"])
        .expectFailure(1, "cannot start '/none'")
      #expect(try place.rows() == ["4M 2 0 0"])
    }

    /// The time limit is that of all pieces together.
    @Test func theWaitIsShared() throws {
      let place = try place("1x4M")
      let start = ContinuousClock.now
      try place.run([
        "run", "-m", "4M", "-m", "8M", "--wait", "1", "--", "true", "{fd.0}", "{fd.1}",
      ]).expectFailure(1, "cannot lease 8 MiB")
      #expect(ContinuousClock.now - start < .seconds(15))
      #expect(try place.rows() == ["4M 1 0 0"])
    }

    /// A node that no memory was filled for gives none, and a typed node wins over the option.
    @Test func nodes() throws {
      let place = try place("2x4M")
      try place.run([
        "run", "-m", "4M", "-m", "4M@7", "--", "true", "{fd.0}", "{fd.1}",
      ]).expectFailure(1, "node 7")
      try place.run([
        "run", "-m", "4M@3", "--host-numa-node", "5", "--", "true", "{fd}",
      ]).expectFailure(1, "node 3")
      #expect(try place.rows() == ["4M 2 0 0"])
    }

    @Test(arguments: [
      (["4M@"], "number"), (["4M@x"], "number"), (["@1"], "not a size"), (["4M@1024"], "1023"),
      (["4M", "x"], "not a size"),
      (["8388608T", "8388608T"], "add up to more than any host has"),
    ])
    func badPieces(_ sizes: [String], _ words: String) throws {
      let place = try place()
      try place.run(shell("true", sizes, ["{fd.0}", "{fd.1}"])).expectFailure(64, words)
    }

    @Test func aNameTooLongForANumber() throws {
      let place = try place("2x4M")
      let name = String(repeating: "n", count: 127)
      try place.run([
        "run", "-m", "4M", "-m", "4M", "--name", name, "--", "true", "{fd.0}", "{fd.1}",
      ]).expectFailure(64, "128")
    }
  }
}
