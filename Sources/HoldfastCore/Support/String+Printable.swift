extension String {
  /// The text with a question mark for each character that a terminal may take for a command or for
  /// the end of a line, or that changes the order in which others are shown. Names of files, and
  /// what users type, can have any.
  package var printable: String {
    if utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return self }
    return String(
      String.UnicodeScalarView(unicodeScalars.map { $0.isPrintable ? $0 : "?" }))
  }

  /// The same for a text of several lines.
  package var printableLines: String {
    String(
      String.UnicodeScalarView(
        unicodeScalars.map { $0.isPrintable || $0 == "\n" ? $0 : "?" }))
  }
}

extension Unicode.Scalar {
  /// Whether a terminal shows the character and nothing else happens. The controls of the direction
  /// of text (U+202A to U+202E, U+2066 to U+2069) are among those of the format.
  package var isPrintable: Bool {
    switch properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: false
    default: true
    }
  }
}
