/// An argument of a monitor, in which words in braces stand for the properties of leased memory, or
/// of a clone.
///
/// The words are replaced in one pass, so that a replaced value is never replaced again, and all
/// other bytes stay as they are. `{{word}` stands for the text `{word}`. Braces that follow a `$`
/// belong to a shell, and braces around other text, such as JSON, to the monitor.
struct ArgumentTemplate: Hashable, Sendable {
  /// The words in braces.
  enum Word: String, CaseIterable {
    case memory, fd, size, bytes, mib, name, share
    // Only of clones.
    case state, id, uuid, seed

    /// The words that stand for a property of leased memory.
    static let ofLeases: [Word] = [.memory, .fd, .size, .bytes, .mib, .name, .share]

    /// Whether the word alone has a meaning for several pieces of memory: their sum.
    var hasTotal: Bool {
      switch self {
      case .size, .bytes, .mib: true
      case .memory, .fd, .name, .share, .state, .id, .uuid, .seed: false
      }
    }
  }

  /// A word and the piece of memory that it is about; nil for the sum of all, or the only one.
  struct Reference: Hashable, Sendable {
    let word: Word
    let index: Int?
  }

  /// What is wrong with an argument.
  struct Problem: Error, Hashable, CustomStringConvertible {
    let description: String
  }

  private enum Part: Hashable, Sendable {
    case bytes([UInt8])
    case reference(Reference)
  }

  private var parts: [Part] = []

  /// Reads an argument.
  ///
  /// - Parameters:
  ///   - count: the number of pieces of memory.
  ///   - words: the words that may occur.
  init(
    _ argument: [UInt8], count: Int, words: [Word] = Word.ofLeases
  ) throws(Problem) {
    var literal: [UInt8] = []
    var rest = argument[...]
    while let byte = rest.first {
      let isDoubled = rest.starts(with: Array("{{".utf8))
      let isShell = literal.last == UInt8(ascii: "$")
      guard byte == UInt8(ascii: "{"), !isShell,
        let text = ArgumentTemplate.word(in: isDoubled ? rest.dropFirst() : rest)
      else {
        literal.append(byte)
        rest.removeFirst()
        continue
      }
      // The word and its braces.
      let length = text.utf8.count + 2
      if isDoubled {
        literal += rest.dropFirst().prefix(length)
        rest = rest.dropFirst(length + 1)
      } else {
        parts.append(.bytes(literal))
        literal = []
        parts.append(.reference(try ArgumentTemplate.reference(text, count: count, words)))
        rest = rest.dropFirst(length)
      }
    }
    parts.append(.bytes(literal))
  }

  /// The references, in order.
  var references: [Reference] {
    parts.compactMap { if case .reference(let reference) = $0 { reference } else { nil } }
  }

  /// The argument with values for the references.
  func replaced(_ value: (Reference) -> String) -> [UInt8] {
    parts.flatMap { part in
      switch part {
      case .bytes(let bytes): bytes
      case .reference(let reference): Array(value(reference).utf8)
      }
    }
  }

  /// The text between the braces that the bytes begin with, if it looks like a word of this
  /// program: a letter, then letters, digits, points and underscores.
  private static func word(in bytes: ArraySlice<UInt8>) -> String? {
    let inner = bytes.dropFirst().prefix { $0 != UInt8(ascii: "}") }
    guard inner.endIndex < bytes.endIndex, let first = inner.first, isLetter(first) else {
      return nil
    }
    let isWord = inner.allSatisfy { byte in
      isLetter(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
    }
    return isWord ? String(decoding: inner, as: UTF8.self) : nil
  }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
  }

  private static func reference(
    _ text: String, count: Int, _ words: [Word]
  ) throws(Problem) -> Reference {
    let halves = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard let word = Word(rawValue: String(halves[0])), words.contains(word) else {
      let known = words.map { "{\($0.rawValue)}" }
      throw Problem(
        description: "{\(text)} is unknown: use \(known.dropLast().joined(separator: ", ")) or "
          + "\(known[known.count - 1]), or {{\(text)} for the text itself")
    }
    guard halves.count == 2 else {
      guard count == 1 || word.hasTotal || word == .share else {
        throw Problem(
          description: "{\(text)} is ambiguous, because there are \(count) pieces of memory: use "
            + "{\(text).0} to {\(text).\(count - 1)}")
      }
      return Reference(word: word, index: nil)
    }
    guard let index = Int(halves[1]), (0..<count).contains(index), "\(index)" == halves[1] else {
      throw Problem(
        description: "{\(text)} is unknown: "
          + (count == 1
            ? "there is one piece of memory, {\(word.rawValue).0}"
            : "the pieces of memory are {\(word.rawValue).0} to {\(word.rawValue).\(count - 1)}"))
    }
    return Reference(word: word, index: index)
  }
}
