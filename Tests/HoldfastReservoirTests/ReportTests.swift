import Foundation
import HoldfastCore
import Testing

@testable import HoldfastReservoir

/// The JSON of receipts and reports, whose keys do not change, and their texts for people.
struct ReportTests {
  private let size = ByteCount.mebibytes(4)

  /// Encodes a value, expects that it decodes to the same value, and returns its JSON.
  private func json<Value: Codable & Equatable>(
    _ value: Value, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let data = try encoder.encode(value)
    #expect(
      try JSONDecoder().decode(Value.self, from: data) == value, sourceLocation: sourceLocation)
    return String(decoding: data, as: UTF8.self)
  }

  @Test func fillReports() throws {
    var report = FillReport()
    #expect(report.description == "nothing to fill")
    report.add(.init(count: 2, size: size))
    report.add(.init(count: 1, size: .gibibytes(1)))
    report.found = 3
    report.removed = 1
    report.reserved = PageCount(5120)
    report.seconds = 0.5
    #expect(
      try json(report) == """
        {"bytes":1082130432,"found":3,"made":[{"count":2,"sizeBytes":4194304},\
        {"count":1,"sizeBytes":1073741824}],"removed":1,"reservedPages":5120,"seconds":0.5}
        """)
    #expect(
      report.description == """
        1 unfinished removed; 3 ready before; 2x4M 1x1G made ready in 500 ms, 2 GiB/s; \
        pool raised by 5120 huge pages
        """)
  }

  @Test func leaseEnds() throws {
    #expect(
      try json(LeaseEnd.recycled(size))
        == #"{"outcome":"recycled","reason":null,"sizeBytes":4194304}"#)
    #expect(
      try json(LeaseEnd.released(size, reason: nil))
        == #"{"outcome":"unlinked","reason":null,"sizeBytes":4194304}"#)
    let end = LeaseEnd.released(size, reason: "another process has it open")
    #expect(
      try json(end)
        == #"{"outcome":"unlinked","reason":"another process has it open","sizeBytes":4194304}"#)
    #expect(end.description == "4 MiB returned to the host: another process has it open.")
  }

  @Test func collectReports() throws {
    var report = CollectReport()
    #expect(report.description == "nothing to do")
    report.removed = 1
    report.recycled = 2
    report.released = 3
    report.bytes = .mebibytes(24)
    report.foreign = ["/x\u{1B}[2J: it is a FIFO, not a regular file"]
    #expect(try json(report).contains(#""unlinked":3"#))
    #expect(
      report.description == """
        1 unfinished removed, 2 ready again, 3 returned to the host; 24 MiB
        foreign file: /x?[2J: it is a FIFO, not a regular file
        """)
  }

  @Test func receiptsAndStatus() throws {
    let place = try Place()
    let reservoir = try place.reservoir(.mebibytes(8))
    var receipt = try reservoir.lease(size, "vm").receipt
    receipt.waitedSeconds = 2
    #expect(try json(receipt).contains(#""trimmedBytes":4194304"#))
    #expect(receipt.description.hasPrefix("4 MiB leased as 'vm' in "))
    #expect(
      receipt.description.hasSuffix(
        "/vm; waited 2.00 s before; 4 MiB of a larger file returned to the host"))
    let status = try reservoir.status()
    #expect(try json(status).contains(#""sizeBytes":4194304"#))
    #expect(status.description.hasPrefix("Size  Ready  Leased  Filling  Page  Node\n4M  "))
    #expect(!status.description.contains("/vm") && status.text(showingLeases: true).contains("/vm"))
  }
}
