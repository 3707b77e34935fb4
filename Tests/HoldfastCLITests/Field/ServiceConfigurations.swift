import Foundation
import Testing

extension FieldTests {
  /// Configurations of the service as editors and people write them, checked before the service
  /// starts.
  struct ServiceConfigurations {
    private func check(_ text: String) throws -> HoldfastProgram.Outcome {
      let file = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID()).conf")
      try Data(text.utf8).write(to: file)
      defer { try? FileManager.default.removeItem(at: file) }
      return try HoldfastProgram(["reservoir", "serve", "--check", "--config", file.path]).wait()
    }

    @Test func `a byte order mark is no part of the first line`() throws {
      let outcome = try check("\u{FEFF}[level]\r\nfiles = 1x2M\r\n")
      #expect(outcome.status == 0 && outcome.output.hasSuffix(": no errors\n"), "\(outcome)")
    }

    @Test(
      arguments: [
        ("[level]\nfiles = 1x2M # four\n", ":2: ", "; a comment takes a whole line"),
        ("[level]\nfiles = 65536x16777215T\n", ":1: ", "more memory than any host has"),
        ("[level]\nfiles = 1x4097\n", ":1: ", "not a multiple of the smallest page size"),
        (
          "[level]\nfiles = 1x2M\nnode = 1023\n", ": [level] ", "node 1023: the node does not exist"
        ),
      ])
    func `what can only fail later is found`(_ text: String, _ place: String, _ words: String)
      throws
    {
      let outcome = try check(text)
      outcome.expectFailure(1, words)
      #expect(outcome.error.contains(".conf" + place), "\(outcome)")
    }

    @Test func `sizes in whole pages of the reservoir`() throws {
      let mount = "/dev/shm/holdfast-test-\(UUID())"
      try FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(atPath: mount) }
      let made = try HoldfastProgram(["reservoir", "init", "--mount", mount]).wait()
      try #require(made.status == 0, "\(made)")
      let outcome = try check("[reservoir]\nmount = \(mount)\n[level]\nfiles = 3x12K\n")
      #expect(outcome.status == 0, "\(outcome)")
    }
  }
}
