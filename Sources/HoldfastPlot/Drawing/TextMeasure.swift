/// The width of text, without fonts: no less than DejaVu Sans, Arial and Helvetica need.
package enum TextMeasure {
  /// The width of a line of text.
  ///
  /// - Complexity: O(n) in the length of the text.
  package static func width(_ text: String, size: Double, bold: Bool = false) -> Double {
    var hundredths = 0
    for scalar in text.unicodeScalars {
      let index = Int(scalar.value) - 32
      if widths.indices.contains(index) {
        hundredths += Int(bold ? boldWidths[index] : widths[index])
      } else {
        // No measured character of other scripts is wider, apart from a few ligatures.
        hundredths += 125
      }
    }
    return Double(hundredths) / 100 * size
  }

  /// The text in lines that are no wider than `width`. What is left after the last line is replaced
  /// by an ellipsis. A word that is too wide is broken.
  ///
  /// - Complexity: O(n^2) in the length of a word, O(n) in their number.
  package static func wrap(
    _ text: String, width: Double, size: Double, bold: Bool = false, lines limit: Int = .max
  ) -> [String] {
    func fits(_ text: String) -> Bool { self.width(text, size: size, bold: bold) <= width }
    var lines: [String] = []
    var current = ""
    for word in text.split(whereSeparator: \.isWhitespace) {
      let longer = current.isEmpty ? String(word) : current + " " + word
      if fits(longer) {
        current = longer
        continue
      }
      if !current.isEmpty { lines.append(current) }
      current = ""
      for piece in pieces(word, fits) {
        if !current.isEmpty, !fits(current + piece) {
          lines.append(current)
          current = ""
        }
        current += piece
      }
    }
    if !current.isEmpty || lines.isEmpty { lines.append(current) }
    guard lines.count > max(1, limit) else { return lines }
    let kept = lines.prefix(max(1, limit))
    return kept.dropLast() + [
      shorten(kept[kept.count - 1] + "\u{2026}", width: width, size: size, bold: bold)
    ]
  }

  /// The parts of a word between which a line may end: after hyphens and slashes and, in parts that
  /// are too wide, anywhere.
  private static func pieces(_ word: Substring, _ fits: (String) -> Bool) -> [String] {
    var result = [""]
    for character in word {
      if let last = result.last?.last, "-/_=,".contains(last) { result.append("") }
      result[result.count - 1].append(character)
    }
    return result.flatMap { fits($0) ? [$0] : $0.map { String($0) } }
  }

  /// The text, or as much of its beginning as fits before an ellipsis.
  package static func shorten(
    _ text: String, width: Double, size: Double, bold: Bool = false
  ) -> String {
    if self.width(text, size: size, bold: bold) <= width { return text }
    var start = Substring(text.hasSuffix("\u{2026}") ? String(text.dropLast()) : text)
    while !start.isEmpty {
      start.removeLast()
      while start.last == " " { start.removeLast() }
      let shorter = String(start) + "\u{2026}"
      if self.width(shorter, size: size, bold: bold) <= width { return shorter }
    }
    return "\u{2026}"
  }

  // Hundredths of the font size for U+0020 to U+007E: the wider of DejaVu Sans and Liberation Sans,
  // as Chromium measures them. Liberation Sans has the widths of Arial and Helvetica.
  private static let widths: [UInt8] = [
    32, 40, 46, 84, 64, 95, 78, 28, 39, 39, 50, 84, 32, 36, 32, 34,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 34, 34, 84, 84, 84, 56,
    102, 69, 69, 72, 77, 67, 61, 78, 76, 30, 50, 67, 57, 87, 75, 79,
    67, 79, 70, 67, 62, 74, 69, 99, 69, 67, 69, 39, 34, 39, 84, 56,
    50, 62, 64, 55, 64, 62, 36, 64, 64, 28, 28, 58, 28, 98, 64, 62,
    64, 64, 42, 53, 40, 64, 60, 82, 60, 60, 53, 64, 34, 64, 84,
  ]
  private static let boldWidths: [UInt8] = [
    35, 47, 53, 84, 70, 101, 88, 31, 46, 46, 53, 84, 38, 42, 38, 37,
    70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 40, 40, 84, 84, 84, 61,
    100, 78, 77, 74, 83, 69, 69, 83, 84, 38, 56, 78, 64, 100, 84, 85,
    74, 85, 77, 73, 69, 82, 78, 111, 78, 73, 73, 46, 37, 46, 84, 56,
    50, 68, 72, 60, 72, 68, 44, 72, 72, 35, 35, 67, 35, 105, 72, 69,
    72, 72, 50, 60, 48, 72, 66, 93, 65, 66, 59, 72, 37, 72, 84,
  ]
}
