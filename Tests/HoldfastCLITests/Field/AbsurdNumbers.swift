import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

extension FieldTests {
  /// Numbers that no host has: in the kernel's files, as a damaged or made-up tree may have them, in
  /// options, and in a trace.
  struct AbsurdNumbers {
    private static let pool = "/sys/kernel/mm/hugepages/hugepages-2048kB/"
    private static let hasPool = FileManager.default.fileExists(atPath: pool)

    /// Calls `body` with the options that bind files of these contents over files of the kernel.
    private func withFiles(
      _ files: [(target: String, text: String)], _ body: ([String]) throws -> Void
    ) throws {
      let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      var options: [String] = []
      for (number, file) in files.enumerated() {
        let source = folder.appending(path: "\(number)")
        try Data(file.text.utf8).write(to: source)
        options += ["--bind", "\(source.path)=\(file.target)"]
      }
      try body(options)
    }

    private func expectOrderlyEnd(_ outcome: HoldfastProgram.Outcome, _ words: [String]) {
      #expect([0, 1, 64].contains(outcome.status), "\(words): \(outcome)")
      if outcome.status != 0 {
        let lines = outcome.error.split(separator: "\n")
        #expect(lines.count { $0.hasPrefix("holdfast: error: ") } == 1, "\(words): \(outcome)")
      }
    }

    @Test(
      .enabled(
        if: hasPool && Situation.canMake("--bind", "/etc/hostname=/etc/hostname"), Situation.comment
      ),
      arguments: ["9223372036854775807", "18446744073709551615", "8796093022208", "-1", "x"])
    func `free huge pages without bound`(_ number: String) throws {
      try withFiles([(Self.pool + "free_hugepages", number + "\n")]) { options in
        for words in [
          ["wire", "--reserve-hugepages"], ["bench", "wire", "--reserve-hugepages", "--runs", "1"],
          ["probe", "--reserve-hugepages"], ["wire", "--backing", "hugetlb-2M"], ["host"],
        ] {
          // No host has this much, whatever the files say.
          let words = words[0] == "host" ? words : words + ["--memory", "100000T"]
          expectOrderlyEnd(try Situation.run(options, words), words)
        }
        // The default size comes from these numbers. The pool cannot be changed, nor memory be taken
        // from it.
        for words in [["wire", "--reserve-hugepages"], ["probe", "--reserve-hugepages"]] {
          let jail =
            options + ["--bind", "/dev/null=" + Self.pool + "nr_hugepages"]
            + ["--deny", "memfd_create=EPERM"]
          expectOrderlyEnd(try Situation.run(jail, words), words)
        }
      }
    }

    @Test(arguments: [
      ["--sizes", "8388608T"], ["--sizes", "16777215T:1,8388608T:2"],
      ["--sizes", "8388608T", "--paged", "100", "--forks", "0", "--dirty", "100"],
      ["--sizes", "8388608T", "--forks", "100", "--paged", "0"],
    ])
    func `guests whose sizes add up to more than 2^64 bytes`(_ sizes: [String]) throws {
      let outcome = try HoldfastProgram(
        ["simulate", "--memory", "1M", "--guests", "2", "--duration", "1s"] + sizes
      ).wait()
      #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
      #expect(outcome.output.contains("2 for lack of memory, 16777215.9 TiB"), "\(outcome)")
    }

    @Test func `a trace of guests of more than 2^64 bytes together`() throws {
      let file = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID()).csv")
      let line = "a,b,c,0,300,1,1,1,Unknown,2,1048576\n"
      try Data(String(repeating: line, count: 16_385).utf8).write(to: file)
      defer { try? FileManager.default.removeItem(at: file) }
      let outcome = try HoldfastProgram(["simulate", "-m", "1M", "--trace", file.path]).wait()
      #expect(outcome.status == 0, "\(outcome)")
      #expect(outcome.output.contains("16,385 for lack of memory, 16777215.9 TiB"), "\(outcome)")
    }

    @Test func `more page faults than a run should have`() throws {
      try HoldfastProgram(["simulate", "--paged", "100", "--forks", "0", "--dirty", "100"]).wait()
        .expectFailure(64, "page faults, more than 1,000,000,000; try: a smaller --dirty")
      // As many, of guests that are all refused.
      let words = ["-m", "1M", "--sizes", "1T", "--paged", "100", "--forks", "0", "--dirty", "100"]
      let outcome = try HoldfastProgram(["simulate", "--guests", "9", "--duration", "1s"] + words)
        .wait()
      #expect(outcome.status == 0, "\(outcome)")
    }

    @Test(
      .enabled(if: HostNeeds.kvm, "\(HostNeeds.kvmComment)"),
      arguments: ["8388608T", "16777215T", "18446744073709551615"])
    func `twice as much as a guest's size`(_ size: String) throws {
      for words in [
        ["--mode", "fork"], ["--mode", "fork", "--backing", "base"], ["--mode", "wired"],
      ] {
        let outcome = try HoldfastProgram(["probe", "--memory", size] + words).wait()
        #expect([1, 64].contains(outcome.status), "\(outcome)")
      }
    }

    /// Random contents of what the kernel shows a process of itself and of the host, real mounts
    /// over the real files.
    @Test(
      .enabled(if: Situation.canMake("--bind", "/etc/hostname=/etc/hostname"), Situation.comment))
    func `hostile files in place of the kernel's`() throws {
      let targets = [
        "/proc/self/smaps", "/proc/self/status", "/proc/self/mountinfo", "/proc/self/cgroup",
        "/proc/self/numa_maps", "/proc/self/limits", "/proc/self/pagemap", "/proc/meminfo",
        "/proc/cpuinfo", "/proc/sys/vm/max_map_count", "/proc/sys/vm/overcommit_memory",
        "/sys/devices/system/node/online", "/sys/devices/system/cpu/online",
        "/sys/kernel/mm/transparent_hugepage/shmem_enabled", Self.pool + "nr_hugepages",
        Self.pool + "free_hugepages", Self.pool + "resv_hugepages",
      ].filter { FileManager.default.fileExists(atPath: $0) }
      // The first bytes: pagemap has as many as the process has addresses.
      let examples = targets.compactMap { path in
        FileHandle(forReadingAtPath: path).flatMap { try? $0.read(upToCount: 2000) }
      }
      var fuzz = Fuzz("mounts", like: examples.map { Array($0) })
      for _ in 0..<max(1, Fuzz.cases / 50) {
        let chosen = targets.filter { _ in Int.random(in: 0..<4, using: &fuzz.random) == 0 }
        try withFiles(chosen.map { ($0, fuzz.text()) }) { options in
          for words in [
            ["host"], ["wire", "--memory", "4M", "--backing", "base"], ["reservoir", "status"],
          ] {
            let outcome = try Situation.run(options, words)
            expectOrderlyEnd(outcome, words + options)
            // A report of pages that do not match ends with 1, after the receipt.
            #expect(outcome.output.unicodeScalars.allSatisfy { $0.isPrintable || $0 == "\n" })
          }
        }
      }
    }
  }
}
