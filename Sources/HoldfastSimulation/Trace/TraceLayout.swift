/// How the lines of a trace are divided, and which field is in which column: taken from its first
/// line, which may be a header.
struct TraceLayout {
  /// The character between fields.
  let separator: UInt8
  /// The index of each column's field, by the column's number; nil for one that the file lacks.
  let fields: [Int?]
  /// The number of fields in a line.
  let count: Int
  /// Whether the first line names the columns.
  let isHeader: Bool

  /// The columns that a simulation uses.
  static let needed: [TraceColumn] = [.vmcreated, .vmdeleted, .vmmemorybucket]

  /// Names that other versions and descriptions of the dataset have, without spaces and signs.
  private static let names: [String: TraceColumn] = {
    var names: [String: TraceColumn] = [
      "timestampvmcreated": .vmcreated, "timestampvmdeleted": .vmdeleted,
      "vmvirtualcorecount": .vmcorecountbucket, "vmvirtualcorecountbucket": .vmcorecountbucket,
      "vmcorecount": .vmcorecountbucket, "vmmemory": .vmmemorybucket,
      "vmmemorygb": .vmmemorybucket, "vmmemorygbbucket": .vmmemorybucket,
      "p95maxcpuutilization": .p95maxcpu, "encryptedvmid": .vmid,
      "encryptedsubscriptionid": .subscriptionid, "encrypteddeploymentid": .deploymentid,
    ]
    for column in TraceColumn.allCases { names["\(column)"] = column }
    return names
  }()

  /// The layout of a file with this first line.
  ///
  /// - Parameter separator: what a line before it said, as spreadsheets write; nil if none did.
  init(_ line: ArraySlice<UInt8>, separator: UInt8? = nil) {
    let candidates = separator.map { [$0] } ?? [",", ";", "\t", "|"].map { UInt8(ascii: $0) }
    // The first of those that divide the line into the most fields.
    var best = (separator: candidates[0], fields: [[UInt8]]())
    for candidate in candidates {
      let found = TraceLine.fields(of: line, separator: candidate).map(Array.init)
      if found.count > best.fields.count { best = (candidate, found) }
    }
    self.separator = best.separator
    count = best.fields.count
    var places = [Int?](repeating: nil, count: TraceColumn.allCases.count)
    for (index, field) in best.fields.enumerated() {
      let letters = field.filter { Self.isLetterOrDigit($0) }
      let name = String(decoding: letters, as: UTF8.self).lowercased()
      if let column = Self.names[name], places[column.rawValue] == nil {
        places[column.rawValue] = index
      }
    }
    isHeader = places.contains { $0 != nil }
    fields = isHeader ? places : TraceColumn.allCases.map(\.rawValue)
  }

  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: false
    }
  }

  /// Whether numbers may have a decimal comma: it does not divide fields.
  var hasDecimalComma: Bool { separator != UInt8(ascii: ",") }
}
