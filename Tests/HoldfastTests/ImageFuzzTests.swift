import Foundation
import Glibc
import Holdfast
import HoldfastTestKit
import Testing

/// Images of snapshots of any contents, lengths and holes: a segment has the bytes of its file, and
/// zeros behind them, or the call fails.
struct ImageFuzzTests {
  @Test func `a restored segment has the bytes of any file`() throws {
    var fuzz = Fuzz("images", like: [String(repeating: "holdfast", count: 600), "", "\0\0"])
    try TemporaryFolder.with { folder in
      for number in 0..<max(1, Fuzz.cases / 50) {
        let path = folder + "/image\(number)"
        try check(try image(at: path, &fuzz), path, &fuzz)
        unlink(path)
      }
    }
  }

  /// Writes pieces with holes between them, and returns the contents.
  private func image(at path: String, _ fuzz: inout Fuzz) throws -> [UInt8] {
    let file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
    try #require(file >= 0)
    defer { close(file) }
    for _ in 0..<Int.random(in: 0..<4, using: &fuzz.random) {
      let bytes = fuzz.bytes()
      let place = off_t.random(in: 0..<3 << 20, using: &fuzz.random)
      try #require(pwrite(file, bytes, bytes.count, place) == bytes.count)
    }
    let end = lseek(file, 0, SEEK_END)
    if Bool.random(using: &fuzz.random) {
      ftruncate(file, off_t.random(in: 0...end + 5000, using: &fuzz.random))
    }
    return Array(try Data(contentsOf: URL(filePath: path)))
  }

  private func check(_ contents: [UInt8], _ path: String, _ fuzz: inout Fuzz) throws {
    let arena = try Arena(size: .mebibytes(16), backing: .base)
    let memory = try GuestMemory(arena: arena, limit: .mebibytes(8))
    let threads = Int.random(in: -1...9, using: &fuzz.random)
    let prefetch: SnapshotPrefetch =
      Bool.random(using: &fuzz.random) ? .onDemand : .prefetched(threads: threads)
    guard !contents.isEmpty else {
      #expect(throws: HoldfastError.self) { try memory.restoreSegment("ram", from: path) }
      return
    }
    let segment = try memory.restoreSegment("ram", from: path, prefetch: prefetch)
    try memory.map(segment, at: .zero, options: Bool.random(using: &fuzz.random) ? .wired : [])
    let read = try memory.read(.zero, count: Int(segment.size.rawValue))
    #expect(Array(read[..<contents.count]) == contents)
    #expect(read[contents.count...].allSatisfy { $0 == 0 })
    // A file that becomes shorter afterwards makes a call fail, and no more.
    let other = try memory.restoreSegment("other", from: path)
    truncate(path, 0)
    do {
      try memory.map(other, at: Address(4 << 20), options: .wired)
    } catch {
      #expect(error.code == .pagerFailure)
    }
    #expect(memory.invariantProblems() == [])
  }
}
