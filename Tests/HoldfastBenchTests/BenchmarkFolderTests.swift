import Foundation
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Synchronization
import Testing

@testable import HoldfastBench

/// Folders of benchmarks, and what they leave alone.
final class BenchmarkFolderTests {
  private let parent = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())")
    .path
  private let own = "holdfast-bench-\(getpid())"
  private static let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC

  init() throws {
    try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: parent) }

  private func names() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: parent).sorted()
  }

  private func hasFile(_ name: String) -> Bool {
    FileManager.default.fileExists(atPath: parent + "/" + name)
  }

  /// Makes a folder with a file in another folder in it, like one that a killed benchmark leaves
  /// unless the caller wants it otherwise.
  private func make(_ name: String, mode: Int = 0o700, marker: String? = "") throws {
    let path = parent + "/" + name
    try FileManager.default.createDirectory(
      atPath: path + "/a/b", withIntermediateDirectories: true)
    try Data("x".utf8).write(to: URL(filePath: path + "/a/b/file"))
    if let marker {
      try Data(marker.utf8).write(to: URL(filePath: path + "/" + BenchmarkFolder.marker))
    }
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
  }

  private func use(_ body: (String) throws(HoldfastError) -> Void = { _ in }) throws {
    try BenchmarkFolder.with(in: parent, "measure", body)
  }

  @Test func `a folder is removed with all in it, and so is one that was left`() throws {
    try make("holdfast-bench-1")
    try make("other/holdfast-bench-3")
    try FileManager.default.createSymbolicLink(
      atPath: parent + "/holdfast-bench-1/link", withDestinationPath: parent + "/other")
    try FileManager.default.createSymbolicLink(
      atPath: parent + "/holdfast-bench-4", withDestinationPath: parent + "/other")
    // One with this process's number was left too.
    try make(own)
    let failure = HoldfastError(.host, operation: "measure", reason: "of the test")
    var inside: [String] = []
    #expect(throws: failure) {
      try use { path throws(HoldfastError) in
        #expect(path == parent + "/" + own)
        inside = (try? names()) ?? []
        #expect(!hasFile(own + "/a") && hasFile(own + "/" + BenchmarkFolder.marker))
        #expect(FileManager.default.createFile(atPath: path + "/file", contents: nil))
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o700)
        let folder = open(path, Self.flags)
        defer { close(folder) }
        #expect(flock(folder, LOCK_EX | LOCK_NB) == -1)
        throw failure
      }
    }
    #expect(inside == ["holdfast-bench-4", own, "other"].sorted())
    #expect(try names() == ["holdfast-bench-4", "other"])
    #expect(hasFile("other/holdfast-bench-3/a/b/file"))
    let error = #expect(throws: HoldfastError.self) {
      try BenchmarkFolder.with(in: parent + "/missing", "measure") { _ in }
    }
    #expect(error?.reason.contains("cannot be created") == true)
  }

  @Test func `a folder in use stays until its process is dead`() throws {
    try make("holdfast-bench-2")
    let used = open(parent + "/holdfast-bench-2", Self.flags)
    #expect(used >= 0 && flock(used, LOCK_EX | LOCK_NB) == 0)
    try use()
    #expect(hasFile("holdfast-bench-2/a/b/file"))
    close(used)
    try use()
    #expect(try names() == [])
  }

  @Test func `a user's folder with such a name stays`() throws {
    try make("holdfast-bench-results")
    try make("holdfast-bench-")
    try make("holdfast-bench-7a")
    try make("holdfast-bench-8", marker: nil)
    try make("holdfast-bench-9", marker: "text")
    try make("holdfast-bench-10", mode: 0o755)
    try make(own, marker: nil)
    let before = try names()
    try use { path throws(HoldfastError) in
      // Its number is another one.
      #expect(path.hasPrefix(parent + "/holdfast-bench-") && path != parent + "/" + own)
    }
    #expect(try names() == before && before.count == 7)
    for name in before { #expect(hasFile(name + "/a/b/file"), "\(name)") }
  }

  @Test func `benchmarks that start at once have a folder each`() throws {
    let count = Atomic<Int>(0)
    let problems = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: 4) { [parent] _ in
      for _ in 0..<50 {
        do throws(HoldfastError) {
          try BenchmarkFolder.with(in: parent, "measure") { path throws(HoldfastError) in
            let isNew = FileManager.default.createFile(atPath: path + "/a", contents: nil)
            let names = try? FileManager.default.contentsOfDirectory(atPath: path).sorted()
            if isNew, names == [BenchmarkFolder.marker, "a"] {
              count.wrappingAdd(1, ordering: .relaxed)
            }
          }
        } catch {
          problems.wrappingAdd(1, ordering: .relaxed)
        }
      }
    }
    let (right, wrong) = (count.load(ordering: .relaxed), problems.load(ordering: .relaxed))
    #expect(right == 200 && wrong == 0)
    #expect(try names() == [])
  }

  /// `bench budgets` and `bench all` measure leases in /dev/shm, where `bench boot` makes folders.
  @Test func `a lease's folder is one of a benchmark`() throws {
    let memory = "/dev/shm/holdfast-\(UUID())"
    try FileManager.default.createDirectory(atPath: memory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: memory) }
    // What a killed benchmark has left, which the next one that makes such a folder removes.
    let left = memory + "/holdfast-bench-1"
    try FileManager.default.createDirectory(
      atPath: left, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    try Data().write(to: URL(filePath: "\(left)/\(BenchmarkFolder.marker)"))
    var budget = LeaseBudget(runs: 2)
    budget.parent = memory
    _ = try budget.seconds()
    #expect(try FileManager.default.contentsOfDirectory(atPath: memory) == [])
  }
}
