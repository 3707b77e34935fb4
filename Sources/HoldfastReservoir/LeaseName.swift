internal import HoldfastCore

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
  /// - Throws: ``ReservoirError`` with the code `badName`.
  public init(_ text: String) throws(ReservoirError) {
    guard (1...Self.longest).contains(text.utf8.count), text.utf8.allSatisfy(Self.isAllowed) else {
      throw ReservoirError(
        .badName, operation: "use the name '\(text.prefix(Self.longest))'",
        what: "a lease's name is 1 to \(Self.longest) letters, digits, - and _",
        advice: "a name such as vm1")
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

/// A file in a user's folder of leases: `vm1`, or `vm1@1` for memory of NUMA node 1, so that it is
/// known of that node when it is ready again.
struct LeaseFile: Hashable {
  let name: LeaseName
  /// The node that the memory was bound to when it was filled, or nil; behind an `@`, which no name has.
  let node: NodeID?
  /// Whether the lease lasts as long as somebody holds the file's lock, as `holdfast run` does. Such a
  /// lease's file ends in `.run`, which no name can.
  let isHeld: Bool

  private static let ending = ".run"

  init(_ name: LeaseName, node: NodeID?, isHeld: Bool) {
    self.name = name
    self.node = node
    self.isHeld = isHeld
  }

  /// Reads a file's name; nil where no reservoir would have given it.
  init?(_ text: String) {
    isHeld = text.hasSuffix(Self.ending)
    let head = isHeld ? text.dropLast(Self.ending.count) : text[...]
    let parts = head.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    guard let name = try? LeaseName(String(parts[0])) else { return nil }
    self.name = name
    node = parts.count == 2 ? UInt32(parts[1]).map { NodeID($0) } : nil
    // There is one way to write it, so that no two mean the same.
    guard self.text == text else { return nil }
  }

  var text: String {
    name.text + (node.map { "@\($0.rawValue)" } ?? "") + (isHeld ? Self.ending : "")
  }
}
