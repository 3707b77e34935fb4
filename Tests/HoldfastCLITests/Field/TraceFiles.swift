import Foundation
import Testing

extension FieldTests {
  /// Traces as people have them: compressed as they are downloaded, from CSV libraries, from
  /// spreadsheets, or not traces at all.
  struct TraceFiles {
    private static let header =
      "vmid,subscriptionid,deploymentid,vmcreated,vmdeleted,maxcpu,avgcpu,p95maxcpu,vmcategory,"
      + "vmcorecountbucket,vmmemorybucket"
    private static let rows = (0..<50).map {
      "vm\($0),s,d,\($0 * 300),\($0 * 300 + 6000),50.5,10,40,Unknown,2,1.75"
    }

    private func digest(_ data: Data, _ name: String = "vm.csv") throws -> String {
      let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let file = folder.appending(path: name)
      try data.write(to: file)
      let words = ["simulate", "-m", "128G", "--dirty", "0.01", "--format", "json", "--trace"]
      let outcome = try HoldfastProgram(words + [file.path]).wait()
      try #require(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
      let value = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
      let report = try #require(value as? [String: Any])
      return try #require(report["digest"] as? String)
    }

    private func text(_ lines: [String], _ end: String = "\n") -> Data {
      Data(lines.map { $0 + end }.joined().utf8)
    }

    @Test func `all forms of a trace are simulated alike`() throws {
      let plain = try digest(text(Self.rows))
      for lines in [
        [Self.header] + Self.rows, Self.rows + ["", ""],
        Self.rows.map { $0.replacing(",6000,", with: ",6000.0,") + "0" },
        Self.rows.map { "\"" + $0.replacing(",", with: "\",\"") + "\"" },
        Self.rows.map { $0.replacing(",", with: ";").replacing(".", with: ",") },
        Self.rows.map { $0.replacing(",", with: "\t") },
      ] {
        #expect(try digest(text(lines)) == plain)
        #expect(try digest(text(lines, "\r\n")) == plain)
      }
      let whole = String(decoding: text([Self.header] + Self.rows), as: UTF8.self)
      #expect(try digest(Data("\u{FEFF}\(whole)".utf8)) == plain)
      for encoding in [String.Encoding.utf16, .utf16LittleEndian, .utf16BigEndian] {
        #expect(try digest(try #require(whole.data(using: encoding))) == plain)
      }
    }

    @Test func `gzip's files are read as downloaded, from a pipe too`() throws {
      let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let file = folder.appending(path: "vm.csv")
      try text(Self.rows).write(to: file)
      let zip = try HoldfastProgram(
        [], command: ["/bin/sh", "-c", "gzip -k \"$0\" && gzip -dc \"$0.gz\" >\"$0.2\"", file.path]
      ).wait()
      try #require(zip.status == 0, "\(zip)")
      let compressed = try Data(contentsOf: folder.appending(path: "vm.csv.gz"))
      #expect(try digest(compressed, "vm.csv.gz") == digest(text(Self.rows)))
      let script = #"cat "$1" | "$0" simulate -m 128G --trace /dev/stdin --guests 5 --duration 5h"#
      let outcome = try HoldfastProgram(
        [], command: ["/bin/sh", "-c", script, HoldfastProgram.path, file.path + ".gz"]
      ).wait()
      #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
      for (bytes, words) in [
        (compressed.prefix(compressed.count - 9), "the compressed file is damaged"),
        (compressed.prefix(12), "the compressed file is damaged"),
        (compressed + Data("x".utf8), "the compressed file is damaged"),
        (Data([0x1F, 0x8B]), "the compressed file is damaged"),
        (Data([0x28, 0xB5, 0x2F, 0xFD, 0, 0, 0, 0]), "with zstd; try: decompress it with zstd"),
        (Data("<html>".utf8), "the file is a web page; try: download the CSV file itself"),
      ] {
        try bytes.write(to: file)
        try HoldfastProgram(["simulate", "--trace", file.path]).wait().expectFailure(1, words)
      }
    }
  }
}
