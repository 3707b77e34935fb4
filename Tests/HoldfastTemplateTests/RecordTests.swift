import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastTemplate

/// What the files of a template say, also where another program wrote them.
struct RecordTests {
  private let about = TemplateAbout(
    size: .mebibytes(64), pageSize: .mebibytes(2), monitor: "qemu-system-x86_64", version: "7.2.22",
    created: 1_700_000_000, stateBytes: 12345, parent: "base")

  @Test func propertiesAreReadAsTheyWereWritten() {
    #expect(TemplateAbout(about.text) == about)
    let least = TemplateAbout(size: .kibibytes(4), pageSize: .kibibytes(4), created: 0)
    #expect(TemplateAbout(least.text) == least)
    // Names of a later version are ignored.
    #expect(TemplateAbout(about.text + "color blue\n\nlonely\n") == about)
  }

  /// What a monitor says of itself cannot add properties.
  @Test func valuesThatHaveLines() {
    var about = about
    about.monitor = "qemu\nstate-bytes 0\r\nsize 1\0\u{1B}[2J\u{7F}"
    about.version = String(repeating: "x", count: 100_000)
    let read = TemplateAbout(about.text)
    #expect(read?.size == about.size && read?.stateBytes == about.stateBytes)
    #expect(read?.monitor?.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 } == true)
    #expect(read?.version?.count == 256 && about.text.utf8.count < TemplateAbout.longest)
  }

  @Test(arguments: [
    ("holdfast-template 1", "holdfast-template 2"), ("holdfast-template 1", "holdfast-template"),
    ("holdfast-template 1\n", ""), ("size 67108864\n", ""), ("size 67108864", "size 0"),
    ("size 67108864", "size -1"), ("size 67108864", "size 67108865"),
    ("size 67108864", "size 9223372036854775808"), ("size 67108864", "size 18446744073709551616"),
    ("page-size 2097152", "page-size 0"), ("page-size 2097152", "page-size 2048"),
    ("page-size 2097152", "page-size 6291456"), ("created 1700000000", "created -5"),
    ("created 1700000000", "created x"), ("state-bytes 12345", "state-bytes -1"),
    ("state-bytes 12345", "state-bytes 99999999999999999999"), ("state-bytes 12345", "state-bytes"),
  ])
  func propertiesThatNoTemplateHas(_ old: String, _ new: String) {
    #expect(about.text.contains(old))
    #expect(TemplateAbout(about.text.replacing(old, with: new)) == nil)
  }

  @Test func newerFormats() {
    for text in ["holdfast-template 2\n", "holdfast-template 4294967295\nx", "holdfast-template 3"]
    {
      #expect(TemplateAbout.isNewer(text))
    }
    for text in [
      "", "\n", about.text, "holdfast-template 0", "holdfast-template", "holdfast-template -2",
      "holdfast-template 99999999999", "template 2", "x\nholdfast-template 2",
    ] {
      #expect(!TemplateAbout.isNewer(text))
    }
  }

  @Test func touchedPages() {
    let set = WorkingSet(
      pageSize: .kibibytes(4),
      pages: [
        .init(9, isWritten: true), .init(0, isWritten: false), .init(9, isWritten: false),
        .init(16383, isWritten: true),
      ])
    #expect(set.pages.map(\.number) == [9, 0, 16383])
    #expect(WorkingSet(set.bytes, memory: about.size) == set)
    // Zeros follow on hugetlbfs.
    #expect(WorkingSet(set.bytes + [0, 0, 0], memory: about.size) == set)
    // What is outside of the memory is left out.
    #expect(WorkingSet(set.bytes, memory: .kibibytes(40))?.pages.map(\.number) == [9, 0])
    let none = WorkingSet(pageSize: .mebibytes(2), pages: [])
    #expect(WorkingSet(none.bytes, memory: about.size) == none)
    for count in 0..<set.bytes.count {
      #expect(WorkingSet(Array(set.bytes.prefix(count)), memory: about.size) == nil)
    }
  }

  @Test func touchedPagesThatAreAbsurd() {
    let good = WorkingSet(pageSize: .kibibytes(4), pages: [.init(1, isWritten: true)]).bytes
    let start = good.count - 20
    for (offset, value) in [
      (0, UInt8(0)), (start, 1), (start + 7, 0x80), (start + 8, 2), (start + 11, 1),
      (start + 15, 0xFF),
    ] {
      var bytes = good
      bytes[offset] ^= value == 0 ? 0xFF : value
      #expect(WorkingSet(bytes, memory: about.size) == nil, "\(offset)")
    }
    // Numbers that do not fit are not written.
    let large = WorkingSet(pageSize: .kibibytes(4), pages: [.init(.max, isWritten: false)])
    #expect(WorkingSet(large.bytes, memory: about.size)?.pages == [])
  }

  @Test func `random records are refused or read`() {
    var texts = Fuzz("properties of templates", like: [about.text])
    texts.texts { text in
      if let about = TemplateAbout(text) {
        #expect(about.size > .zero && about.stateBytes >= 0 && about.created >= 0)
        #expect(TemplateAbout(about.text)?.size == about.size)
      }
      _ = TemplateAbout.isNewer(text)
    }
    let set = WorkingSet(
      pageSize: .kibibytes(4), pages: (0..<20).map { .init($0, isWritten: $0 % 2 == 0) })
    var records = Fuzz("touched pages", like: [set.bytes])
    for _ in 0..<Fuzz.cases {
      guard let set = WorkingSet(records.bytes(), memory: .mebibytes(1)) else { continue }
      let limit = (1 << 20) / set.pageSize.rawValue
      #expect(set.pages.allSatisfy { UInt64($0.number) < limit })
      #expect(Set(set.pages.map(\.number)).count == set.pages.count)
    }
  }
}
