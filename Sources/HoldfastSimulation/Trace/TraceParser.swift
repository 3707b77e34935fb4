internal import HoldfastCore

/// Reads a trace in pieces of any length, so that a file of gigabytes need not be in memory.
///
/// The file is the dataset's own, without a header, in which every line has all eleven columns; or
/// what CSV libraries and spreadsheets make of it (`TraceText`, `TraceLayout`, `TraceNumber`).
/// Columns that a simulation does not use are checked too, so that a file with other columns is
/// detected.
package struct TraceParser: Sendable {
  /// The guests of the lines read so far, in the file's order.
  package private(set) var guests: [TraceGuest] = []

  private let file: String
  private var text: TraceText
  private var line = 1
  private var rest: [UInt8] = []
  /// Whether the last byte was a carriage return, which a line feed may follow.
  private var hasReturned = false
  /// The first of the blank lines before this one. The file may end with such lines.
  private var blank: Int?
  /// The separator that a line `sep=;` names.
  private var separator: UInt8?
  private var layout: TraceLayout?

  /// The longest line that is accepted, in bytes. Lines of the dataset have about 320.
  package static let longestLine = 4096

  /// The most guests that are accepted. The dataset has 2.7 million.
  package static let mostGuests = 20_000_000

  /// The size that the bucket `>64` stands for, as in the dataset's own analysis.
  static let openBucket = ByteCount.gibibytes(70)

  /// A parser for a file.
  ///
  /// - Parameter file: the file's name, for errors.
  package init(file: String) {
    self.file = file
    text = TraceText(file: file)
  }

  /// Reads the next bytes of the file.
  ///
  /// - Throws: `TraceError` for the first line that is wrong. The parser cannot be used afterwards.
  package mutating func read(_ bytes: ArraySlice<UInt8>) throws(TraceError) {
    try readText(try text.convert(bytes))
    if rest.count > TraceParser.longestLine { throw tooLong }
  }

  /// Reads the rest after the last bytes of the file.
  ///
  /// - Throws: `TraceError`, also for a file without guests.
  package mutating func finish() throws(TraceError) {
    try readText(try text.finish())
    if !rest.isEmpty {
      let whole = rest
      rest = []
      try readLine(whole[...])
    }
    if guests.isEmpty {
      throw TraceError(file: file, line: 1, column: nil, reason: "the trace has no guest")
    }
  }

  private mutating func readText(_ bytes: ArraySlice<UInt8>) throws(TraceError) {
    var start = bytes.startIndex
    if hasReturned, let first = bytes.first {
      hasReturned = false
      if first == UInt8(ascii: "\n") { start = bytes.index(after: start) }
    }
    while let end = bytes[start...].firstIndex(where: {
      $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r")
    }) {
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
      guard bytes[end] == UInt8(ascii: "\r") else { continue }
      if start == bytes.endIndex {
        hasReturned = true
      } else if bytes[start] == UInt8(ascii: "\n") {
        start = bytes.index(after: start)
      }
    }
    rest += bytes[start...]
  }

  private func problem(_ reason: String) -> TraceError {
    TraceError(file: file, line: line, column: nil, reason: reason)
  }

  private var tooLong: TraceError {
    problem("the line has over \(TraceParser.longestLine) bytes: the file is not a vmtable.csv")
  }

  private mutating func readLine(_ bytes: ArraySlice<UInt8>) throws(TraceError) {
    if bytes.count > TraceParser.longestLine { throw tooLong }
    if TraceLine.isBlank(bytes) {
      blank = blank ?? line
      return
    }
    if let blank {
      throw TraceError(file: file, line: blank, column: nil, reason: emptyLine)
    }
    if let layout {
      try readGuest(TraceLine.fields(of: bytes, separator: layout.separator), layout)
    } else if bytes.count == 5, bytes.starts(with: "sep=".utf8), line == 1 {
      separator = bytes.last
    } else {
      let layout = TraceLayout(bytes, separator: separator)
      self.layout = layout
      if layout.isHeader { return try checkHeader(layout) }
      try readGuest(TraceLine.fields(of: bytes, separator: layout.separator), layout)
    }
  }

  private func checkHeader(_ layout: TraceLayout) throws(TraceError) {
    for column in TraceLayout.needed where layout.fields[column.rawValue] == nil {
      throw problem("the header names no column \(column)")
    }
  }

  private let emptyLine =
    "the line is empty, not the \(TraceColumn.allCases.count) columns of a vmtable.csv"

  private mutating func readGuest(
    _ fields: [ArraySlice<UInt8>], _ layout: TraceLayout
  ) throws(TraceError) {
    let wanted = TraceColumn.allCases.count
    // Some programs end each line with a separator.
    let isWhole =
      layout.isHeader || layout.count == wanted
      || layout.count == wanted + 1 && fields.last?.isEmpty == true
    guard isWhole, fields.count == layout.count else {
      throw problem(
        "there are \(fields.count) columns, not the "
          + (layout.isHeader
            ? "\(layout.count) of the header"
            : "\(wanted) of a vmtable.csv of the Azure Public Dataset V2"))
    }
    guard guests.count < TraceParser.mostGuests else {
      throw problem("the trace has over \(TraceParser.mostGuests) guests")
    }
    guests.append(
      try TraceRow(fields: fields, layout: layout, file: file, line: line).guest())
  }
}
