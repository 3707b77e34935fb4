internal import HoldfastCore
internal import HoldfastReservoir

/// A file of sections and keys in systemd's style: `[section]`, `key = value`, and comments that
/// take whole lines and begin with `#` or `;`. A section may occur more than once.
struct INIFile {
  /// A section, from one header to the next.
  struct Section {
    let name: String
    /// The header's line, from 1.
    let line: Int
    var entries: [Entry] = []
  }

  /// A key with its value.
  struct Entry {
    let key: String
    let value: String
    let line: Int
  }

  private(set) var sections: [Section] = []

  /// Reads a text. `file` is the name in errors.
  init(_ text: String, file: String) throws(HoldfastError) {
    // Editors of other systems begin a file with a byte order mark. Lines may end in CR LF too.
    let body =
      text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
    let lines = body.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
    for (index, raw) in lines.enumerated() {
      let line = INIFile.trimmed(raw)
      func fail(_ reason: String) -> HoldfastError {
        HoldfastError(configuration: file, line: index + 1, reason)
      }
      guard let first = line.first, first != "#", first != ";" else { continue }
      if first == "[" {
        let name = INIFile.trimmed(line.dropFirst().dropLast())
        guard line.last == "]", line.count > 2, name.allSatisfy(INIFile.isAllowed) else {
          throw fail(
            "'\(String(line).printable)' is not a section; "
              + "write a name in brackets, such as [reservoir]" + INIFile.hint(line))
        }
        sections.append(Section(name: String(name), line: index + 1))
        continue
      }
      guard let equals = line.firstIndex(of: "=") else {
        throw fail(
          "the line is neither key = value, nor a [section], nor a comment that begins with #")
      }
      let key = INIFile.trimmed(line[..<equals])
      let value = INIFile.trimmed(line[line.index(after: equals)...])
      guard !key.isEmpty, key.allSatisfy(INIFile.isAllowed) else {
        throw fail("'\(String(key).printable)' before = is not a key")
      }
      guard !sections.isEmpty else {
        throw fail("'\(key)' is before the first section, such as [reservoir]")
      }
      guard !value.isEmpty else { throw fail("'\(key)' has no value") }
      let section = sections.count - 1
      if let other = sections[section].entries.first(where: { $0.key == key }) {
        throw fail("line \(other.line) has set '\(key)' already")
      }
      sections[section].entries.append(
        Entry(key: String(key), value: String(value), line: index + 1))
    }
  }

  /// What to add to an error about a value or a line that seems to end in a comment; empty for
  /// others.
  static func hint(_ text: some StringProtocol) -> String {
    hasComment(text) ? "; a comment takes a whole line" : ""
  }

  /// Whether a value or a line seems to end in a comment.
  static func hasComment(_ text: some StringProtocol) -> Bool {
    var isSpace = true
    for character in text {
      if isSpace, character == "#" || character == ";" { return true }
      isSpace = character == " " || character == "\t"
    }
    return false
  }

  private static func isAllowed(_ character: Character) -> Bool {
    character.isASCII && (character.isLetter || character.isNumber || character == "-")
  }

  private static func trimmed(_ text: Substring) -> Substring {
    let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\r" }
    var text = text.drop(while: isSpace)
    while let last = text.last, isSpace(last) { text.removeLast() }
    return text
  }
}

extension HoldfastError {
  /// The error of a configuration, in the form of compilers: `reservoir.conf:12: unknown key
  /// 'levle'`.
  ///
  /// - Parameters:
  ///   - file: the path of the file, as the caller named it.
  ///   - line: the line, from 1, or nil where the error concerns the whole file.
  init(configuration file: String, line: Int?, _ reason: String) {
    self.init(
      .invalidArgument, operation: "",
      reason: file + (line.map { ":\($0)" } ?? "") + ": " + reason)
  }
}
