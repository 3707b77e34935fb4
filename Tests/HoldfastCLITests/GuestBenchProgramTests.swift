import Foundation
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

struct GuestBenchProgramTests {
  @Test func `both paths as JSON and as text`() throws {
    let arguments = ["bench", "guest", "--memory", "64M", "--backing", "base", "--runs", "3"]
    let outcome = try HoldfastProgram(arguments + ["--format", "json"]).wait()
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    let value = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
    let result = try #require(value as? [String: Any])
    #expect(result["memoryBytes"] as? Int == 64 << 20 && result["backing"] as? String == "base")
    let paths = try #require(result["results"] as? [[String: Any]])
    #expect(paths.map { $0["path"] as? String } == ["prefault", "fault"])
    #expect(paths.allSatisfy { ($0["seconds"] as? [Double])?.count == 3 })
    if HostNeeds.kvm { #expect(result["slots"] as? Int == 1) }
    let text = try HoldfastProgram(arguments).wait()
    #expect(text.status == 0 && text.output.hasPrefix("Mapping and wiring a guest of 64 MiB"))
  }

  /// A process that is killed at any time leaves nothing that the kernel does not free.
  @Test func `a kill in the middle leaves no memory behind`() throws {
    try HugePageLock.withLock {
      let backings = ["base"] + (HostNeeds.hugePages(.mebibytes(256)) ? ["hugetlb-2M"] : [])
      var random = SeededGenerator(seed: 5)
      let files = try left()
      for round in 0..<20 {
        let backing = backings[round % backings.count]
        let arguments =
          round % 4 < 2
          ? ["bench", "guest", "--hostile", "--backing", backing, "--faults", "100000"]
          : ["bench", "guest", "-m", "128M", "--backing", backing, "--runs", "1000"]
        // Other processes allocate memory too, so missing memory is checked again.
        var isBack = false
        for _ in 0..<4 where !isBack {
          let before = try free()
          let program = try HoldfastProgram(arguments)
          usleep(UInt32.random(in: 1000...700_000, using: &random))
          program.send(SIGKILL)
          let outcome = try program.wait()
          #expect(outcome.signal == SIGKILL, "\(outcome)")
          // The kernel may need a moment.
          for _ in 0..<50 where !isBack {
            let after = try free()
            isBack = after.pages >= before.pages && after.shared <= before.shared + (16 << 10)
            if !isBack { usleep(20_000) }
          }
        }
        #expect(isBack, "round \(round): \(arguments)")
      }
      // Other tests have files there too, which go; what a killed process leaves stays.
      let new = Set(try left()).subtracting(files)
      let haveGone = try eventually(within: .seconds(300)) { new.isDisjoint(with: try left()) }
      #expect(haveGone, "\(new)")
    }
  }

  /// Free huge pages, and KiB of shared memory.
  private func free() throws -> (pages: UInt64, shared: UInt64) {
    let text = try String(contentsOfFile: "/proc/meminfo", encoding: .utf8)
    func value(_ key: String) -> UInt64 {
      let line = text.split(separator: "\n").first { $0.hasPrefix(key + ":") } ?? ""
      return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { UInt64($0) }
        ?? 0
    }
    return (value("HugePages_Free"), value("Shmem"))
  }

  private func left() throws -> [String] {
    let files = FileManager.default
    return try ["/dev/shm", "/dev/hugepages"].filter { files.fileExists(atPath: $0) }
      .flatMap { try files.contentsOfDirectory(atPath: $0) }
      .filter { $0.contains("holdfast") }
  }
}
