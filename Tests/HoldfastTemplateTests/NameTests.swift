import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

@testable import HoldfastTemplate

/// Names of templates, and the names of the notes of clones.
struct NameTests {
  @Test(arguments: ["a", "base1", "A-b_9", "_", "0", String(repeating: "x", count: 64)])
  func names(_ text: String) throws { #expect(try TemplateName(text).text == text) }

  @Test(arguments: [
    "", "-a", ".", "..", "a/b", "/", "a.b", "a b", "a\n", "a\0", "é", "e\u{301}", "٣", "a@b", "a!b",
    String(repeating: "x", count: 65), String(repeating: "x", count: 1_000_000),
  ])
  func whatIsNoName(_ text: String) {
    let error = #expect(throws: HoldfastError.self) { try TemplateName(text) }
    #expect(error?.code == .invalidArgument)
    #expect((error?.operation.utf8.count ?? 0) < 300)
  }

  @Test func notes() throws {
    let name = try TemplateName("vm-0")
    let (process, starter) = (HostProcess(text: "17.42"), HostProcess(text: "9.3"))
    for clone in [
      Clone(name: name, process: nil, promise: .mebibytes(4)),
      Clone(name: name, process: process, promise: ByteCount(.max)),
      Clone(name: name, process: process, promise: .zero, starter: starter),
      Clone(name: name, process: nil, promise: ByteCount(1), starter: starter),
    ] {
      #expect(Clone(clone.text) == clone, "\(clone.text)")
    }
    #expect(Clone("vm@17.42.4096!9.3")?.starter == starter)
  }

  @Test(arguments: [
    "", "@", "vm", "vm@", "vm@1", "@1.2.3", "vm@1.2.", "vm@1.2.-1", "vm@1.2.3@4", "vm@1.2.3!4!5",
    "vm@1.2.18446744073709551616", "a.b@1.2.3", "../x@1.2.3",
  ])
  func whatIsNoNote(_ text: String) { #expect(Clone(text) == nil) }

  @Test func `random texts have one meaning or none`() {
    var fuzz = Fuzz("names of clones", like: ["vm-0@17.42.4096", "a@0.0.0!1.2", "base1"])
    fuzz.texts { text in
      if let name = try? TemplateName(text) {
        #expect(name.text == text && (1...TemplateName.longest).contains(text.utf8.count))
        #expect(text.utf8.allSatisfy { $0 > 0x2C && $0 < 0x7B && $0 != 0x2E && $0 != 0x2F })
      }
      if let clone = Clone(text) { #expect(Clone(clone.text) == clone) }
    }
  }
}
