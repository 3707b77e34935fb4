internal import HoldfastCore

/// How a part of a line is shown where the terminal has colors.
enum Paint: String {
  case plain = ""
  case bold = "1"
  case dim = "2"
  case red = "31"
  case green = "32"
  case yellow = "33"
  case reversed = "7"
}

/// A line of text for a terminal.
struct TerminalLine: Equatable {
  struct Part: Equatable {
    var text: String
    var paint = Paint.plain
  }

  private(set) var parts: [Part] = []

  init() {}

  /// Control characters are replaced, since a text may quote the name of a file.
  init(_ text: String, _ paint: Paint = .plain) { add(text, paint) }

  mutating func add(_ text: String, _ paint: Paint = .plain) {
    parts.append(Part(text: text.printable, paint: paint))
  }

  /// The text without colors and without spaces at its end.
  var text: String {
    var text = parts.map(\.text).joined()
    while text.last == " " { text.removeLast() }
    return text
  }

  /// The text with the sequences of ECMA-48 that set colors.
  var paintedText: String {
    parts.map { part in
      part.paint == .plain ? part.text : "\u{1B}[\(part.paint.rawValue)m\(part.text)\u{1B}[m"
    }.joined()
  }

  /// The line with at most a number of columns.
  func clipped(to columns: Int) -> TerminalLine {
    var line = TerminalLine()
    var left = columns
    for part in parts {
      let text = part.text.clipped(to: left)
      line.parts.append(Part(text: text, paint: part.paint))
      left -= text.columns
      if text.unicodeScalars.count < part.text.unicodeScalars.count { break }
    }
    return line
  }
}

extension String {
  /// The number of columns that the text has in a terminal.
  var columns: Int { unicodeScalars.reduce(0) { $0 + $1.columns } }

  /// The text with at most a number of columns.
  func clipped(to columns: Int) -> String {
    var left = columns
    return String(
      UnicodeScalarView(
        unicodeScalars.prefix {
          left -= $0.columns
          return left >= 0
        }))
  }

  /// The text with exactly a number of columns, with an ellipsis where it is cut.
  func padded(to columns: Int, isRight: Bool = false) -> String {
    let count = self.columns
    if count > columns {
      let cut = clipped(to: columns - 1) + (columns > 0 ? "…" : "")
      return cut + String(repeating: " ", count: columns - cut.columns)
    }
    let space = String(repeating: " ", count: columns - count)
    return isRight ? space + self : self + space
  }
}

extension Unicode.Scalar {
  /// The number of columns in a terminal: 2 for the wide characters of East Asia and pictures, 0 for
  /// marks on the character before. The corresponding C function is `wcwidth`, which depends on the
  /// locale.
  fileprivate var columns: Int {
    if value < 0x300 { return 1 }
    switch properties.generalCategory {
    case .nonspacingMark, .enclosingMark: return 0
    default: break
    }
    switch value {
    case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF,
      0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F900...0x1F9FF,
      0x20000...0x3FFFD:
      return 2
    default: return 1
    }
  }
}
