public import HoldfastCore

/// The name of a lease: 1 to 128 ASCII letters, digits, `-` and `_`.
///
/// No shell, monitor or management tool interprets such a name, it cannot lead out of its folder,
/// and it differs from the names that ``Reservoir`` generates.
public struct LeaseName: Hashable, Sendable, CustomStringConvertible {
  /// The name.
  public let text: String

  /// The largest number of characters.
  public static let longest = 128

  /// Creates a name from a text.
  ///
  /// - Throws: ``HoldfastError`` with the code `invalidArgument`, where the text is not a name.
  public init(_ text: String) throws(HoldfastError) {
    guard (1...Self.longest).contains(text.utf8.count), text.utf8.allSatisfy(Self.isAllowed) else {
      throw HoldfastError(
        .invalidArgument, operation: "use the name '\(text.prefix(Self.longest))'",
        reason: text.isEmpty
          ? "it is empty"
          : text.utf8.count > Self.longest
            ? "it has more than \(Self.longest) characters"
            : "it has characters other than ASCII letters, digits, - and _",
        advice: .other("a name such as vm1"))
    }
    self.text = text
  }

  /// A new name, which no other lease has.
  init(unique prefix: String) {
    text = prefix + "-" + RandomID.text()
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
