/// Reads JSON texts (RFC 8259), for the same targets as ``JSONValue``. A text comes from another
/// program, so it may be of any form: what is not JSON is nil, and so is what is nested too deeply.
struct JSONParser {
  private let bytes: ArraySlice<UInt8>
  private var position: Int
  /// Deeper values would need as deep a stack.
  private static let deepest = 64

  fileprivate init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  fileprivate mutating func parse() -> JSONValue? {
    guard let value = value(depth: 0) else { return nil }
    skipSpace()
    return position == bytes.endIndex ? value : nil
  }

  private var next: UInt8? { position < bytes.endIndex ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D {
      position += 1
    }
  }

  /// Skips a byte, if it is the next one behind spaces.
  private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    skipSpace()
    return skip(scalar)
  }

  private mutating func take(word: String) -> Bool {
    guard bytes[position...].starts(with: word.utf8) else { return false }
    position += word.utf8.count
    return true
  }

  private mutating func value(depth: Int) -> JSONValue? {
    guard depth < Self.deepest else { return nil }
    skipSpace()
    switch next {
    case UInt8(ascii: "{"): return object(depth)
    case UInt8(ascii: "["): return array(depth)
    case UInt8(ascii: "\""): return string().map { .string($0) }
    case UInt8(ascii: "t"): return take(word: "true") ? .bool(true) : nil
    case UInt8(ascii: "f"): return take(word: "false") ? .bool(false) : nil
    case UInt8(ascii: "n"): return take(word: "null") ? .null : nil
    default: return number()
    }
  }

  private mutating func object(_ depth: Int) -> JSONValue? {
    position += 1
    var members: [(String, JSONValue)] = []
    if take("}") { return .object(members) }
    while true {
      skipSpace()
      guard let name = string(), take(":"), let value = value(depth: depth + 1) else { return nil }
      members.append((name, value))
      if take("}") { return .object(members) }
      guard take(",") else { return nil }
    }
  }

  private mutating func array(_ depth: Int) -> JSONValue? {
    position += 1
    var values: [JSONValue] = []
    if take("]") { return .array(values) }
    while true {
      guard let value = value(depth: depth + 1) else { return nil }
      values.append(value)
      if take("]") { return .array(values) }
      guard take(",") else { return nil }
    }
  }

  private mutating func number() -> JSONValue? {
    let start = position
    skip("-")
    // A number has no zeros in front.
    guard skip("0") || skipDigits() else { return nil }
    if skip(".") { guard skipDigits() else { return nil } }
    if skip("e") || skip("E") {
      if !skip("-") { skip("+") }
      guard skipDigits() else { return nil }
    }
    return .number(String(decoding: bytes[start..<position], as: UTF8.self))
  }

  /// Skips a byte, if it is the next one.
  @discardableResult
  private mutating func skip(_ scalar: Unicode.Scalar) -> Bool {
    guard next == UInt8(ascii: scalar) else { return false }
    position += 1
    return true
  }

  /// Skips digits, of which there must be one.
  private mutating func skipDigits() -> Bool {
    let start = position
    while let byte = next, (0x30...0x39).contains(byte) { position += 1 }
    return position > start
  }

  private mutating func string() -> String? {
    guard next == UInt8(ascii: "\"") else { return nil }
    position += 1
    var found: [UInt8] = []
    while let byte = next {
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return String(validating: found, as: UTF8.self)
      case UInt8(ascii: "\\"):
        guard let scalar = escape() else { return nil }
        found += Array(String(Character(scalar)).utf8)
      case 0..<0x20: return nil
      default: found.append(byte)
      }
    }
    return nil
  }

  /// Reads what follows a backslash.
  private mutating func escape() -> Unicode.Scalar? {
    guard let byte = next else { return nil }
    position += 1
    switch byte {
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      guard let high = unit() else { return nil }
      guard (0xD800..<0xDC00).contains(high) else { return Unicode.Scalar(high) }
      guard take(word: "\\u"), let low = unit(), (0xDC00..<0xE000).contains(low) else {
        return nil
      }
      return Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    default: return nil
    }
  }

  /// Reads four hexadecimal digits.
  private mutating func unit() -> UInt32? {
    guard bytes.endIndex - position >= 4 else { return nil }
    let digits = bytes[position..<position + 4]
    position += 4
    return digits.contains(UInt8(ascii: "+")) || digits.contains(UInt8(ascii: "-"))
      ? nil : UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
  }
}

extension JSONValue {
  /// Reads a text; nil where it is not JSON. Of two members of one name both are kept.
  ///
  /// - Complexity: O(bytes).
  package init?(parsing bytes: some Collection<UInt8>) {
    let copy = Array(bytes)
    var parser = JSONParser(copy[...])
    guard let value = parser.parse() else { return nil }
    self = value
  }

  /// The first member of an object with a name; nil for other values and names.
  package subscript(_ name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.0 == name }?.1
  }

  /// The text of a string, or nil.
  package var string: String? { if case .string(let text) = self { text } else { nil } }

  /// The value of a number without a fraction, or nil.
  package var integer: Int? { if case .number(let text) = self { Int(text) } else { nil } }
}
