/// A line of a trace, divided into fields as RFC 4180 and spreadsheets write them.
enum TraceLine {
  private static let quote = UInt8(ascii: "\"")

  /// The fields, without the quotes around them and spaces at their ends.
  static func fields(of line: ArraySlice<UInt8>, separator: UInt8) -> [ArraySlice<UInt8>] {
    guard line.contains(quote) else {
      return line.split(separator: separator, omittingEmptySubsequences: false).map(trimmed)
    }
    var fields: [ArraySlice<UInt8>] = []
    var field: [UInt8] = []
    var isQuoted = false
    var index = line.startIndex
    while index < line.endIndex {
      let byte = line[index]
      index += 1
      if byte == quote {
        // Two quotes within a quoted field are one.
        let isDoubled = isQuoted && index < line.endIndex && line[index] == quote
        if isDoubled {
          field.append(quote)
          index += 1
        } else {
          isQuoted.toggle()
        }
      } else if byte == separator, !isQuoted {
        fields.append(trimmed(field[...]))
        field = []
      } else {
        field.append(byte)
      }
    }
    fields.append(trimmed(field[...]))
    return fields
  }

  /// Whether a line has nothing but separators and spaces, as spreadsheets write behind the last
  /// row, or is the end mark of DOS.
  static func isBlank(_ line: ArraySlice<UInt8>) -> Bool {
    line.allSatisfy {
      [UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: ","), UInt8(ascii: ";"), quote, 0x1A]
        .contains($0)
    }
  }

  /// A field, for an error: its first 40 bytes, those that are not printable as `?`.
  static func quoted(_ field: ArraySlice<UInt8>) -> String {
    let shown = field.prefix(40).map { (32..<127).contains($0) ? $0 : UInt8(ascii: "?") }
    return "'" + String(decoding: shown, as: UTF8.self) + (field.count > 40 ? "…'" : "'")
  }

  private static func trimmed(_ field: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let isSpace: (UInt8) -> Bool = { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
    var field = field.drop(while: isSpace)
    while let last = field.last, isSpace(last) { field.removeLast() }
    return field
  }
}
