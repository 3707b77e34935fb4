import Foundation
import HoldfastKVM
import Testing

/// What guest programs and pre-faulting report, as JSON and as text. Needs no /dev/kvm.
struct ReportTests {
  /// Decodes, and checks that encoding gives the same object.
  private func decoded<Value: Codable>(_ json: String) throws -> Value {
    let value = try JSONDecoder().decode(Value.self, from: Data(json.utf8))
    let written = try JSONSerialization.jsonObject(with: JSONEncoder().encode(value))
    let given = try JSONSerialization.jsonObject(with: Data(json.utf8))
    #expect(try #require(written as? NSDictionary).isEqual(try #require(given as? NSDictionary)))
    return value
  }

  @Test func `a guest program's result survives JSON and prints`() throws {
    let result: GuestResult = try decoded(
      """
      {"program": "check", "processors": 2, "touches": 1024, "wrongWords": 3, "firstWrong": 4096,
       "passes": 1, "complete": true, "exits": {"halted": 2, "interrupted": 1}, "seconds": 0.5}
      """)
    #expect(
      result.description == """
        check on 2 processors: 1024 words in 500 ms
          wrong: 3 words, first at 0x1000
          exits: 2 halted, 1 interrupted
        """)
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(
        GuestResult.self,
        from: Data(
          """
          {"program": "x", "processors": 1, "touches": 0, "wrongWords": 0, "passes": 0,
           "complete": true, "exits": {"unheardOf": 1}, "seconds": 0}
          """.utf8))
    }
  }

  @Test func `a report of pre-faulting survives JSON and prints`() throws {
    let report: PreFaultReport = try decoded(
      """
      {"preFaultSupported": true, "preFaultedBytes": 4194304, "preFaultRequestedBytes": 4194304,
       "preFaultRestarts": 2, "preFaultSeconds": 0.25}
      """)
    #expect(report.description == "mapped 4 MiB of 4 MiB ahead in 250 ms, 2 requests repeated")
  }
}
