import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

private let directory = "/sys/kernel/mm/hugepages/hugepages-1048576kB"
private let canMake =
  HostNeeds.isRoot && FileManager.default.fileExists(atPath: directory)
  && Situation.canMake("--umask", "022")

extension FieldTests {
  /// Hosts that mount hugetlbfs for several page sizes, as DPDK's and KubeVirt's do, and have pages
  /// of one alone.
  @Suite(
    .enabled(if: canMake, Situation.comment),
    .enabled(if: HostNeeds.hugePages(.mebibytes(2)), "\(HostNeeds.hugePagesComment)"))
  struct SeveralHugetlbMounts {
    /// Two mount points.
    private let folders = (0..<2).map { _ in
      FileManager.default.temporaryDirectory.path + "/holdfast-mount-\(UUID())"
    }

    /// Runs a script of the shell with `$0` as the program, where hugetlbfs is mounted with these
    /// page sizes alone, the first on `$1` and so on.
    private func run(_ script: String, _ sizes: [String]) throws -> HoldfastProgram.Outcome {
      for folder in folders {
        try FileManager.default.createDirectory(
          atPath: folder, withIntermediateDirectories: true)
      }
      defer { for folder in folders { rmdir(folder) } }
      let options = zip(sizes, folders).flatMap { ["--hugetlbfs", "\($0)=\($1)"] }
      // Tests that empty the pool hold the lock.
      return try HugePageLock.withLock {
        try Situation.run(
          options, ["-c", script, HoldfastProgram.path] + folders, program: "sh")
      }
    }

    /// Whether the host has pages of 1 GiB.
    private var hasLargest: Bool {
      (try? String(contentsOfFile: directory + "/nr_hugepages", encoding: .utf8)) != "0\n"
    }

    @Test(arguments: [["1G", "2M"], ["2M", "1G"]])
    func `init takes a mount whose pool has pages, and says why`(sizes: [String]) throws {
      if hasLargest { return }
      let outcome = try run(#"exec "$0" reservoir init"#, sizes)
      let index = try #require(sizes.firstIndex(of: "2M"))
      #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
      #expect(outcome.output.hasPrefix("\(folders[index])/holdfast: 2 MiB pages"), "\(outcome)")
      #expect(outcome.output.contains("chosen: the pool of \(folders[index]) has "), "\(outcome)")
      let other = "not taken: \(folders[1 - index]) (1 GiB pages, its pool is empty)"
      #expect(outcome.output.contains(other), "\(outcome)")
    }

    @Test func `a page size that is asked for is taken, with pages or without`() throws {
      let outcome = try run(
        #"exec "$0" reservoir init --hugepage-size 1G --format json"#, ["2M", "1G"])
      #expect(outcome.status == 0, "\(outcome)")
      let object = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
      let result = try #require(object as? [String: Any])
      #expect(result["mount"] as? String == folders[1])
      #expect((result["mountReason"] as? String)?.contains("only suitable mount") == true)
    }

    @Test func `a repeated init takes the mount that has the reservoir`() throws {
      let outcome = try run(
        #""$0" reservoir init --mount "$1" >/dev/null && exec "$0" reservoir init"#,
        ["1G", "2M"])
      #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
      #expect(outcome.output.hasPrefix("\(folders[0])/holdfast: 1 GiB pages"), "\(outcome)")
      #expect(outcome.output.contains("chosen: \(folders[0]) has a reservoir already"))
    }

    /// Then root mounts one for the pool that has pages; here without leaving anything behind.
    @Test func `a mount of a pool without pages is not taken where another pool has some`() throws {
      if hasLargest { return }
      let outcome = try run(
        #"mount -t tmpfs -o mode=755 none /run && exec "$0" reservoir init"#, ["1G"])
      #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
      #expect(outcome.output.hasPrefix("/run/holdfast/hugepages-2M/holdfast: 2 MiB"), "\(outcome)")
      #expect(outcome.output.contains("not taken: \(folders[0]) (1 GiB pages"), "\(outcome)")
    }
  }
}
