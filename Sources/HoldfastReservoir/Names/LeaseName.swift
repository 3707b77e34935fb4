public import HoldfastCore

/// The name that somebody gives to a lease: 1 to 128 letters, digits, `-` and `_` of ASCII.
///
/// So it is a file's name that no shell, monitor or management tool reads as anything else, never leads
/// out of its folder, and never looks like the names that ``Reservoir`` makes by itself.
public struct LeaseName: Hashable, Sendable, CustomStringConvertible {
  /// The name.
  public let text: String

  public static let longest = 128

  /// Checks a name.
  ///
  /// - Throws: ``HoldfastError`` with the code `badName`.
  public init(_ text: String) throws(HoldfastError) {
    guard (1...Self.longest).contains(text.utf8.count), text.utf8.allSatisfy(Self.isAllowed) else {
      throw HoldfastError(
        .invalidArgument, operation: "use the name '\(text.prefix(Self.longest))'",
        reason: "a lease's name is 1 to \(Self.longest) letters, digits, - and _",
        advice: .other("a name such as vm1"))
    }
    self.text = text
  }

  /// A name that nobody has.
  init(unique prefix: String) {
    text = prefix + "-" + ReadyName.newID()
  }

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
