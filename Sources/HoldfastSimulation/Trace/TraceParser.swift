internal import HoldfastCore

/// Reads a trace in pieces of any length, so that a file of gigabytes need not be in memory.
///
/// Every line must have all eleven columns. Those that a simulation does not use are checked too,
/// so that a file with other columns is detected.
package struct TraceParser: Sendable {
  /// The guests of the lines read so far, in the file's order.
  package private(set) var guests: [TraceGuest] = []

  private let file: String
  private var line = 1
  private var rest: [UInt8] = []

  /// The longest line that is accepted, in bytes. Lines of the dataset have about 320.
  package static let longestLine = 4096

  /// The size that the bucket `>64` stands for, as in the dataset's own analysis.
  static let openBucket = ByteCount.gibibytes(70)

  /// A parser for a file.
  ///
  /// - Parameter file: the file's name, for errors.
  package init(file: String) {
    self.file = file
  }

  /// Reads the next bytes of the file.
  ///
  /// - Throws: `TraceError` for the first line that is wrong. The parser cannot be used afterwards.
  package mutating func read(_ bytes: ArraySlice<UInt8>) throws(TraceError) {
    var start = bytes.startIndex
    while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
      if rest.isEmpty {
        try readLine(bytes[start..<end])
      } else {
        rest += bytes[start..<end]
        let whole = rest
        rest = []
        try readLine(whole[...])
      }
      line += 1
      start = bytes.index(after: end)
    }
    rest += bytes[start...]
    if rest.count > TraceParser.longestLine { throw tooLong }
  }

  /// Reads the rest after the last bytes of the file.
  ///
  /// - Throws: `TraceError`, also for a file without guests.
  package mutating func finish() throws(TraceError) {
    if !rest.isEmpty {
      let whole = rest
      rest = []
      try readLine(whole[...])
    }
    if guests.isEmpty {
      throw TraceError(file: file, line: 1, column: nil, reason: "the trace has no guest")
    }
  }

  private var tooLong: TraceError {
    TraceError(
      file: file, line: line, column: nil,
      reason: "the line has over \(TraceParser.longestLine) bytes: the file is not a vmtable.csv")
  }

  private mutating func readLine(_ bytes: ArraySlice<UInt8>) throws(TraceError) {
    if bytes.count > TraceParser.longestLine { throw tooLong }
    let text = bytes.last == UInt8(ascii: "\r") ? bytes.dropLast() : bytes
    let fields = text.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
    let wanted = TraceColumn.allCases.count
    guard fields.count == wanted else {
      let found = text.isEmpty ? "the line is empty" : "there are \(fields.count) columns"
      throw TraceError(
        file: file, line: line, column: nil,
        reason: "\(found), not the \(wanted) of a vmtable.csv of the Azure Public Dataset V2")
    }
    func field(_ column: TraceColumn) -> ArraySlice<UInt8> { fields[column.rawValue] }
    func problem(_ column: TraceColumn, _ reason: String) -> TraceError {
      TraceError(file: file, line: line, column: column, reason: reason)
    }
    for column in [TraceColumn.vmid, .subscriptionid, .deploymentid] where field(column).isEmpty {
      throw problem(column, "the id is empty")
    }
    func seconds(_ column: TraceColumn) throws(TraceError) -> UInt64 {
      // Up to 300 years.
      guard let seconds = UInt64(ascii: field(column)), seconds <= 10_000_000_000 else {
        throw problem(column, "\(quoted(field(column))) is not a whole number of seconds")
      }
      return seconds
    }
    let created = try seconds(.vmcreated)
    let deleted = try seconds(.vmdeleted)
    guard deleted >= created else {
      throw problem(.vmdeleted, "\(deleted) is before vmcreated, which is \(created)")
    }
    for column in [TraceColumn.maxcpu, .avgcpu, .p95maxcpu] {
      let value = Double(String(decoding: field(column), as: UTF8.self))
      // Readings sometimes exceed 100 by a rounding error.
      guard let value, value >= 0, value <= 101 else {
        throw problem(column, "\(quoted(field(column))) is not a percentage")
      }
    }
    if field(.vmcategory).isEmpty { throw problem(.vmcategory, "the category is empty") }
    guard TraceParser.isBucket(field(.vmcorecountbucket)) else {
      throw problem(
        .vmcorecountbucket,
        "\(quoted(field(.vmcorecountbucket))) is not a number of cores such as 4, or >24")
    }
    guard let memory = TraceParser.memory(field(.vmmemorybucket)) else {
      throw problem(
        .vmmemorybucket,
        "\(quoted(field(.vmmemorybucket))) is not a number of GB such as 8 or 1.75, or >64")
    }
    guests.append(TraceGuest(created: created, deleted: deleted, memory: memory))
  }

  private static func isBucket(_ text: ArraySlice<UInt8>) -> Bool {
    let digits = text.first == UInt8(ascii: ">") ? text.dropFirst() : text
    return (UInt64(ascii: digits) ?? 0) > 0
  }

  /// Reads `8`, `1.75` or `>64`, in units of 2^30 bytes.
  private static func memory(_ text: ArraySlice<UInt8>) -> ByteCount? {
    if text.elementsEqual(">64".utf8) { return openBucket }
    let parts = text.split(
      separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
    guard let whole = UInt64(ascii: parts[0]), whole <= 1 << 20 else { return nil }
    var bytes = whole << 30
    if parts.count == 2 {
      guard parts[1].count <= 6, let fraction = UInt64(ascii: parts[1]) else { return nil }
      var scale: UInt64 = 1
      for _ in parts[1] { scale *= 10 }
      bytes += (fraction << 30) / scale
    }
    let size = ByteCount(bytes).roundedDown(to: Geometry.small.pageSize)
    return size > .zero ? size : nil
  }
}

/// A field, for an error: its first 40 bytes, those that are not printable as `?`.
private func quoted(_ field: ArraySlice<UInt8>) -> String {
  let shown = field.prefix(40).map { (32..<127).contains($0) ? $0 : UInt8(ascii: "?") }
  return "'" + String(decoding: shown, as: UTF8.self) + (field.count > 40 ? "…'" : "'")
}

extension UInt64 {
  /// Reads digits and nothing else.
  fileprivate init?(ascii text: ArraySlice<UInt8>) {
    guard !text.isEmpty, text.count <= 18 else { return nil }
    self = 0
    for byte in text {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      self = self * 10 + UInt64(byte - UInt8(ascii: "0"))
    }
  }
}
