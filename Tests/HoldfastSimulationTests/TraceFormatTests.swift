import HoldfastCore
import Testing

@testable import HoldfastSimulation

/// Traces as people have them: compressed, with a header, from CSV libraries and spreadsheets.
struct TraceFormatTests {
  private static let guest = TraceGuest(created: 300, deleted: 600, memory: .mebibytes(1792))
  private static let line = "a,b,c,300,600,3,4.5,5,Unknown,2,1.75"

  private func read(_ bytes: [UInt8], pieces: Int = .max) throws -> [TraceGuest] {
    var parser = TraceParser(file: "vm.csv")
    var start = 0
    while start < bytes.count {
      let end = bytes.count - start > pieces ? start + pieces : bytes.count
      try parser.read(bytes[start..<end])
      start = end
    }
    try parser.finish()
    return parser.guests
  }

  @Test(
    arguments: [
      line, line + "\r\n", line + "\r", line + "\n\n", line + "\r\n\r\n", line + "\n  \n,,,,\n",
      line + "\n\u{1A}", "\u{FEFF}" + line,
      "a,b,c,300.0,600.000000,3,4.5,5,Unknown,2.0,1.750", "a,b,c,3e+02,6E2,3,4.5,5,Unknown,2,1.75",
      #""a","b","c","300","600","3","4.5","5","Unknown","2","1.75""#,
      #""a""x","b,y","c", 300 ,600,3,4.5,5,Unknown,2,1.75"#,
      "a;b;c;300;600;3;4,5;5;Unknown;2;1,75", "sep=;\r\na;b;c;300;600;3;4,5;5;Unknown;2;1,75\r\n",
      "a\tb\tc\t300\t600\t3\t4,5%\t5%\tUnknown\t2\t1,75", "a|b|c|300|600|3|4.5|5|Unknown|2|1.75",
      line + ",\n",
      "vmid,subscriptionid,deploymentid,vmcreated,vmdeleted,maxcpu,avgcpu,p95maxcpu,vmcategory,"
        + "vmcorecountbucket,vmmemorybucket\n" + line,
      "vm id,subscription id,deployment id,timestamp vm created,timestamp vm deleted,max cpu,"
        + "avg cpu,p95 max cpu,vm category,vm virtual core count bucket,vm memory (gb) bucket\n"
        + line,
      // The index that pandas writes.
      ",vmid,vmcreated,vmdeleted,vmmemorybucket\n0,a,300,600,1.75\n",
      "VMDeleted;VMMemoryBucket;More;VMCreated\n600;1,75;x;300\n",
    ])
  func `a guest as programs write it`(_ text: String) throws {
    for pieces in [1, 3, .max] {
      #expect(try read(Array(text.utf8), pieces: pieces) == [Self.guest], "\(text)")
    }
    // A second mark would be a character.
    if text.hasPrefix("\u{FEFF}") { return }
    let marks: [([UInt16], Bool)] = [([], false), ([], true), ([0xFEFF], false), ([0xFEFF], true)]
    for (mark, isBigEndian) in marks {
      let bytes = (mark + Array(text.utf16)).flatMap { unit in
        let (high, low) = (UInt8(unit >> 8), UInt8(truncatingIfNeeded: unit))
        return isBigEndian ? [high, low] : [low, high]
      }
      #expect(try read(bytes, pieces: 5) == [Self.guest], "\(text)")
    }
  }

  @Test(
    arguments: [
      ("vmid,vmcreated,vmdeleted\na,1,2\n", "line 1: the header names no column vmmemorybucket"),
      (
        "vmcreated,vmdeleted,vmmemorybucket\n1,2\n",
        "line 2: there are 2 columns, not the 3 of the header"
      ),
      (
        "vmmemorybucket,vmdeleted,vmcreated\n4,2,x\n",
        "line 2: column 3 (vmcreated): 'x' is not a whole number of seconds"
      ),
      (line + "\n\n" + line, "line 2: the line is empty"),
      ("\n\n" + line, "line 1: the line is empty"),
      ("a,b,c,300.5,600,3,4,5,Unknown,2,4", "'300.5' is not a whole number"),
      ("a,b,c,3e-1,600,3,4,5,Unknown,2,4", "'3e-1' is not a whole number"),
      ("a,b,c,1e99,600,3,4,5,Unknown,2,4", "'1e99' is not a whole number"),
      ("<!DOCTYPE html>", "the file is a web page"),
      ("PK\u{3}\u{4}and more", "the file is a ZIP archive or a spreadsheet"),
      ("version https://git-lfs.github.com/spec/v1\n", "the file is a pointer of Git LFS"),
      ("vmcreated,vmdeleted,vmmemorybucket\n", "the trace has no guest"),
    ] as [(String, String)])
  func `what cannot be read is named`(_ text: String, _ words: String) {
    let error = #expect(throws: TraceError.self) { try read(Array(text.utf8)) }
    #expect(error?.description.contains(words) == true, "\(String(describing: error))")
    #expect(error?.description.contains("\n") == false)
  }

  @Test func `other compressions are named`() {
    for (bytes, name) in [
      ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0, 0, 0], "xz"),
      ([0x28, 0xB5, 0x2F, 0xFD, 0, 0, 0, 0], "zstd"),
      (Array("BZh91AY&SY".utf8), "bzip2"), ([0x1F, 0x8B, 8, 0, 0, 0, 0, 0], "gzip"),
      ([0xFF, 0xFE, 0, 0, 0x61, 0, 0, 0], "UTF-32"),
    ] as [([UInt8], String)] {
      let error = #expect(throws: TraceError.self) { try read(bytes) }
      #expect(error?.reason.contains(name) == true && error?.advice != nil)
    }
  }
}
