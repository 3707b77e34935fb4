/// Turns the bytes of a trace into UTF-8, as they come: those of UTF-16 with a byte order mark, as
/// spreadsheets write, are converted, and the mark of UTF-8 is removed.
struct TraceText {
  private enum Encoding {
    case utf8
    case utf16(isBigEndian: Bool)
  }

  private let file: String
  private var encoding: Encoding?
  /// The first bytes, until they are enough to see the encoding; then the first half of a unit.
  private var rest: [UInt8] = []

  /// As many bytes as the longest mark that is looked for.
  private static let longestMark = 8

  init(file: String) {
    self.file = file
  }

  /// The text of the next bytes, as far as it is known.
  mutating func convert(_ bytes: ArraySlice<UInt8>) throws(TraceError) -> ArraySlice<UInt8> {
    if case .utf8 = encoding { return bytes }
    rest += bytes
    if encoding == nil {
      if rest.count < Self.longestMark { return [] }
      try begin()
    }
    return take()
  }

  /// The text of what is left at the end of the file.
  mutating func finish() throws(TraceError) -> ArraySlice<UInt8> {
    if encoding == nil { try begin() }
    let text = take()
    guard rest.isEmpty else {
      throw TraceError(
        file: file, line: nil, column: nil, reason: "the UTF-16 text ends in half a character",
        advice: "copy it again")
    }
    return text
  }

  private mutating func take() -> ArraySlice<UInt8> {
    guard case .utf16(let isBigEndian) = encoding else {
      defer { rest = [] }
      return rest[...]
    }
    var text: [UInt8] = []
    text.reserveCapacity(rest.count / 2)
    for index in stride(from: 0, to: rest.count - 1, by: 2) {
      let (high, low) =
        isBigEndian ? (rest[index], rest[index + 1]) : (rest[index + 1], rest[index])
      // All that counts in a trace is ASCII.
      text.append(high == 0 ? low : UInt8(ascii: "?"))
    }
    rest = rest.count % 2 == 0 ? [] : [rest[rest.count - 1]]
    return text[...]
  }

  /// Formats that a trace is sometimes kept in, by their first bytes.
  private static let others: [(bytes: [UInt8], name: String, advice: String)] = [
    ([0x1F, 0x8B], "compressed with gzip", "decompress it with gzip"),
    ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00], "compressed with xz", "decompress it with xz"),
    ([0x28, 0xB5, 0x2F, 0xFD], "compressed with zstd", "decompress it with zstd"),
    (Array("BZh91AY".utf8), "compressed with bzip2", "decompress it with bzip2"),
    ([0x37, 0x7A, 0xBC, 0xAF], "a 7z archive", "extract the CSV file from it"),
    (
      Array("PK".utf8) + [3, 4], "a ZIP archive or a spreadsheet",
      "extract the CSV file, or save the spreadsheet as CSV"
    ),
    ([0xD0, 0xCF, 0x11, 0xE0], "a spreadsheet", "save it as CSV"),
    (Array("PAR1".utf8) + [0x15], "in the Parquet format", "convert it to CSV"),
    (Array("%PDF".utf8), "a PDF document", "use the CSV file"),
    ([0xFF, 0xFE, 0, 0], "UTF-32 text", "save it as UTF-8"),
    ([0, 0, 0xFE, 0xFF], "UTF-32 text", "save it as UTF-8"),
    (Array("<".utf8), "a web page", "download the CSV file itself"),
    (Array("version ".utf8), "a pointer of Git LFS", "fetch the file with git lfs pull"),
  ]

  private mutating func begin() throws(TraceError) {
    for other in Self.others where rest.starts(with: other.bytes) {
      throw TraceError(
        file: file, line: nil, column: nil, reason: "the file is \(other.name)",
        advice: other.advice)
    }
    switch rest.prefix(3) {
    case [0xEF, 0xBB, 0xBF]:
      encoding = .utf8
      rest.removeFirst(3)
    case let mark where mark.starts(with: [0xFF, 0xFE]):
      encoding = .utf16(isBigEndian: false)
      rest.removeFirst(2)
    case let mark where mark.starts(with: [0xFE, 0xFF]):
      encoding = .utf16(isBigEndian: true)
      rest.removeFirst(2)
    // Without a mark, every other byte of ASCII is zero.
    case let start where start.count > 1 && start[0] != 0 && start[1] == 0:
      encoding = .utf16(isBigEndian: false)
    case let start where start.count > 1 && start[0] == 0 && start[1] != 0:
      encoding = .utf16(isBigEndian: true)
    default: encoding = .utf8
    }
  }
}
