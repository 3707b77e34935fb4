/// A file of sections and keys in systemd's style: `[section]`, `key = value`, and whole lines of comment
/// that begin with `#` or `;`. A section may come more than once.
struct INIFile {
  /// A section, from one header to the next.
  struct Section {
    let name: String
    /// The header's line, from 1.
    let line: Int
    var entries: [Entry] = []
  }

  struct Entry {
    let key: String
    let value: String
    let line: Int
  }

  private(set) var sections: [Section] = []

  /// Reads a text. `file` is the name that errors tell.
  init(_ text: String, file: String) throws(ConfigurationError) {
    // Lines end as they do in files of other systems too.
    let lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
    for (index, raw) in lines.enumerated() {
      let line = INIFile.trimmed(raw)
      func fail(_ reason: String) -> ConfigurationError {
        ConfigurationError(file: file, line: index + 1, reason: reason)
      }
      guard let first = line.first, first != "#", first != ";" else { continue }
      if first == "[" {
        let name = INIFile.trimmed(line.dropFirst().dropLast())
        guard line.last == "]", line.count > 2, name.allSatisfy(INIFile.isAllowed) else {
          throw fail("a section is a name in brackets, such as [reservoir]")
        }
        sections.append(Section(name: String(name), line: index + 1))
        continue
      }
      guard let equals = line.firstIndex(of: "=") else {
        throw fail("a line is key = value, a [section], or a comment that begins with #")
      }
      let key = INIFile.trimmed(line[..<equals])
      let value = INIFile.trimmed(line[line.index(after: equals)...])
      guard !key.isEmpty, key.allSatisfy(INIFile.isAllowed) else {
        throw fail("the part before = is no key")
      }
      guard !sections.isEmpty else {
        throw fail("'\(key)' stands before the first section, such as [reservoir]")
      }
      guard !value.isEmpty else { throw fail("'\(key)' has no value") }
      let section = sections.count - 1
      if let other = sections[section].entries.first(where: { $0.key == key }) {
        throw fail("'\(key)' was set in line \(other.line) already")
      }
      sections[section].entries.append(
        Entry(key: String(key), value: String(value), line: index + 1))
    }
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
