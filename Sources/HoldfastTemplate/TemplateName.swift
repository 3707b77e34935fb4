public import HoldfastCore

/// The name of a template or of a clone: 1 to 64 ASCII letters, digits, `-` and `_`, of which the
/// first is not `-`.
///
/// No shell, monitor or management tool interprets such a name, and it cannot lead out of its
/// folder.
public struct TemplateName: Hashable, Sendable, CustomStringConvertible {
  /// The name.
  public let text: String

  /// The largest number of characters.
  public static let longest = 64

  /// Creates a name from a text.
  ///
  /// - Throws: ``HoldfastError`` with the code `invalidArgument` where the text is not a name.
  public init(_ text: String) throws(HoldfastError) {
    guard let problem = Self.problem(text) else {
      self.text = text
      return
    }
    throw HoldfastError(
      .invalidArgument, operation: "use the name '\(text.prefix(Self.longest))'", reason: problem,
      advice: .other("a name such as base1"))
  }

  private static func problem(_ text: String) -> String? {
    if text.isEmpty { return "it is empty" }
    if text.utf8.count > longest { return "it has more than \(longest) characters" }
    if text.utf8.first == UInt8(ascii: "-") { return "it begins with -" }
    if text.utf8.allSatisfy(isAllowed) { return nil }
    return "it has characters other than ASCII letters, digits, - and _"
  }

  /// The name.
  public var description: String { text }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
      true
    default: false
    }
  }
}
