import Foundation
import HoldfastTestKit
import Testing

@testable import HoldfastCLI

extension FieldTests {
  /// The arguments that `holdfast run` passes to a monitor.
  struct MonitorArguments {
    private func place(_ files: String = "1x4M") throws -> ReservoirPlace {
      let place = try ReservoirPlace()
      try place.get("reservoir", "fill", files)
      return place
    }

    /// Bytes that are not UTF-8, which Swift's texts cannot have, reach the monitor. sh(1) makes
    /// them, since Foundation's processes cannot.
    @Test func bytesPassThrough() throws {
      let place = try place()
      let script = """
        "$0" run --mount "$1" -m 4M -- printf '%s' "$(printf 'disk-\\377\\200.img')" {fd} \
        | od -An -tx1 | tr -d ' \\n'
        """
      let outcome = try HoldfastProgram(
        [HoldfastProgram.path, place.path], command: ["sh", "-c", script]
      ).wait()
      #expect(outcome.output.hasPrefix("6469736b2dff802e696d67"), "\(outcome)")
    }

    @Test func anOwnArgumentMustBeText() throws {
      let script = "exec \"$0\" wire --memory \"$(printf '\\377')\""
      let outcome = try HoldfastProgram(
        [HoldfastProgram.path], command: ["sh", "-c", script]
      ).wait()
      outcome.expectFailure(64, "is not UTF-8")
    }

    private func replaced(
      _ text: String, count: Int = 1, memory: String = "M"
    ) throws -> String {
      let template = try ArgumentTemplate(Array(text.utf8), count: count)
      let bytes = template.replaced { reference in
        let index = reference.index.map { ".\($0)" } ?? ""
        return reference.word == .memory ? memory : reference.word.rawValue.uppercased() + index
      }
      return String(decoding: bytes, as: UTF8.self)
    }

    @Test func wordsAreReplacedOnce() throws {
      #expect(try replaced("a{memory}b{fd}", memory: "{fd}{size}") == "a{fd}{size}bFD")
      #expect(try replaced("{size} {bytes} {mib} {name}") == "SIZE BYTES MIB NAME")
      #expect(try replaced("{fd.0} {fd.11}", count: 12) == "FD.0 FD.11")
    }

    @Test(arguments: [
      "", "{", "}", "{}", "{{", "{{}}", "{ memory}", "{memory", "memory}", "{1}", "{a,b}", "{a b}",
      #"{"qom-type":"x","size":{"a":1}}"#, "${memory}", "${x:-{}", "{c0ffee-1}", "{{.Name}}",
    ])
    func otherBracesStay(_ text: String) throws {
      #expect(try replaced(text) == text)
    }

    @Test(arguments: [
      ("{{memory}", "{memory}"), ("{{x}", "{x}"), ("{{{memory}", "{{memory}"),
      ("{{memory}}", "{memory}}"), ("{{a}{fd}{{b}", "{a}FD{b}"),
    ])
    func doubledBraces(_ text: String, _ result: String) throws {
      #expect(try replaced(text) == result)
    }

    @Test(arguments: [
      ("{memroy}", 1, "unknown"), ("{Memory}", 1, "unknown"), ("{x}", 1, "{{x}"),
      ("{memory}", 2, "{memory.0} to {memory.1}"), ("{fd.2}", 2, "{fd.0} to {fd.1}"),
      ("{fd.1}", 1, "{fd.0}"), ("{fd.}", 1, "unknown"), ("{fd.00}", 1, "unknown"),
      ("{fd.99999999999999999999}", 1, "unknown"), ("{size.size}", 1, "unknown"),
    ])
    func unknownWordsAreErrors(_ text: String, _ count: Int, _ words: String) {
      #expect {
        try ArgumentTemplate(Array(text.utf8), count: count)
      } throws: {
        "\($0)".contains(words)
      }
    }

    @Test func anUnknownWordIsAUsageError() throws {
      let place = try place()
      let outcome = try place.run(["run", "-m", "4M", "--", "true", "{memory}", "{sizes}"])
      outcome.expectFailure(
        64, "{sizes} is unknown: use {memory}, {fd}, {size}, {bytes}, {mib}, {name} or {share}")
      #expect(try place.rows() == ["4M 1 0 0"])
    }

    /// QEMU's own reader of JSON takes the size as a number of bytes.
    @Test(.enabled(if: HostNeeds.qemu, "\(HostNeeds.qemuComment)"))
    func theObjectOfQEMU() throws {
      let place = try place()
      let object =
        #"{"qom-type":"memory-backend-file","id":"ram","mem-path":"{memory}","size":{bytes},"#
        + #""share":true}"#
      let outcome = try place.run([
        "run", "-m", "4M", "--", "sh", "-c", "echo quit | exec \"$@\"", "sh",
        "qemu-system-x86_64", "-m", "{mib}", "-object", object, "-machine",
        "q35,memory-backend=ram",
        "-accel", "tcg", "-nodefaults", "-display", "none", "-S", "-monitor", "stdio",
      ])
      #expect(outcome.status == 0, "\(outcome)")
      #expect(outcome.output.contains("QEMU"), "\(outcome)")
    }
  }
}
