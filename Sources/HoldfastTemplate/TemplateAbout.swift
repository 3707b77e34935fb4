public import HoldfastCore

/// What is known of a template besides its memory and its device state.
///
/// On the file system it is a text, a line for each property: the name, a space and the value.
/// Zeros follow it on hugetlbfs. A reader ignores names that it does not know.
public struct TemplateAbout: Hashable, Sendable {
  /// The size of the memory.
  public var size: ByteCount
  /// The size of the pages that the memory consists of; that of a clone's copies.
  public var pageSize: ByteCount
  /// The program that ran the machine, such as `qemu-system-x86_64`, or nil.
  public var monitor: String?
  /// The program's version as it says it, such as `7.2.22`, or nil.
  public var version: String?
  /// When the template was sealed, in seconds since 1970.
  public var created: Int64
  /// The length of the device state in bytes; 0 for a template without one.
  public var stateBytes: Int
  /// The name of the template that the machine was itself a clone of, or nil.
  public var parent: String?

  /// Creates a description; the parameters are the properties.
  public init(
    size: ByteCount, pageSize: ByteCount, monitor: String? = nil, version: String? = nil,
    created: Int64, stateBytes: Int = 0, parent: String? = nil
  ) {
    self.size = size
    self.pageSize = pageSize
    self.monitor = monitor
    self.version = version
    self.created = created
    self.stateBytes = stateBytes
    self.parent = parent
  }

  private static let format = "holdfast-template "
  private static let heading = format + "1"

  /// Whether a later version of Holdfast wrote the text, in another format.
  static func isNewer(_ text: String) -> Bool {
    guard let line = text.split(separator: "\n").first, line.hasPrefix(format) else { return false }
    return (UInt32(line.dropFirst(format.count)) ?? 0) > 1
  }

  /// The longest text that is read, in bytes.
  static let longest = 16 << 10

  /// The text that a template's folder has. Values keep no control characters, and are shortened.
  var text: String {
    var lines = [
      Self.heading, "size \(size.rawValue)", "page-size \(pageSize.rawValue)",
      "created \(created)", "state-bytes \(stateBytes)",
    ]
    for (name, value) in [("monitor", monitor), ("version", version), ("parent", parent)] {
      guard let value else { continue }
      let printable = value.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : $0 }
      lines.append(name + " " + String(String.UnicodeScalarView(printable)).prefix(256))
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Reads the text; nil where it is not one, or lacks what every template has.
  init?(_ text: String) {
    let lines = text.split(separator: "\n")
    guard lines.first == Self.heading[...] else { return nil }
    var values: [Substring: Substring] = [:]
    for line in lines.dropFirst() {
      let parts = line.split(separator: " ", maxSplits: 1)
      if parts.count == 2 { values[parts[0]] = parts[1] }
    }
    func number<Number: FixedWidthInteger>(_ name: Substring) -> Number? {
      guard let value: Number = values[name].flatMap({ Number($0) }), value >= 0 else {
        return nil
      }
      return value
    }
    guard let size: UInt64 = number("size"), let pageSize: UInt64 = number("page-size"),
      let created: Int64 = number("created"), let stateBytes: Int = number("state-bytes"),
      size > 0, pageSize >= 4096, pageSize.nonzeroBitCount == 1, size % pageSize == 0,
      size <= UInt64(Int64.max)
    else { return nil }
    self.init(
      size: ByteCount(size), pageSize: ByteCount(pageSize),
      monitor: values["monitor"].map { String($0) }, version: values["version"].map { String($0) },
      created: created, stateBytes: stateBytes, parent: values["parent"].map { String($0) })
  }
}
