/// Reads the fields of one message, which any process may have sent.
///
/// It accepts what Protocol Buffers' specification does, but groups, which no message here has.
/// It allocates nothing for a length that a field only claims to have.
package struct WireReader {
  /// What a field has.
  package enum Value {
    case number(UInt64)
    case bytes(ArraySlice<UInt8>)
    /// Eight or four bytes, which no message here has.
    case fixed
  }

  /// The largest number of elements of a repeated field: kubelets have some thousands of devices.
  package static let mostElements = 65_536

  private var rest: ArraySlice<UInt8>

  package init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  /// The next field; nil at the end.
  package mutating func next() throws(WireError) -> (field: UInt64, value: Value)? {
    guard !rest.isEmpty else { return nil }
    let tag = try number()
    let field = tag >> 3
    guard (1...0x1fff_ffff).contains(field) else { throw .badTag }
    switch tag & 7 {
    case 0: return (field, .number(try number()))
    case 1:
      _ = try take(8)
      return (field, .fixed)
    case 2: return (field, .bytes(try take(try number())))
    case 5:
      _ = try take(4)
      return (field, .fixed)
    default: throw .badTag
    }
  }

  private mutating func take(_ count: UInt64) throws(WireError) -> ArraySlice<UInt8> {
    guard count <= UInt64(rest.count) else { throw .truncated }
    let taken = rest.prefix(Int(count))
    rest = rest.dropFirst(Int(count))
    return taken
  }

  private mutating func number() throws(WireError) -> UInt64 {
    var number: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard let byte = rest.popFirst() else { throw .truncated }
      let bits = UInt64(byte & 0x7f)
      guard shift < 63 || bits <= 1 else { throw .badNumber }
      number |= bits << shift
      if byte < 0x80 { return number }
    }
    throw .badNumber
  }
}

extension WireReader.Value {
  package func bytes() throws(WireError) -> ArraySlice<UInt8> {
    guard case .bytes(let bytes) = self else { throw .badType }
    return bytes
  }

  package func text() throws(WireError) -> String {
    guard let text = String(validating: try bytes(), as: UTF8.self) else { throw .badText }
    return text
  }

  package func number() throws(WireError) -> UInt64 {
    guard case .number(let number) = self else { throw .badType }
    return number
  }

  package func flag() throws(WireError) -> Bool { try number() != 0 }
}

extension Array {
  /// Appends an element of a repeated field.
  mutating func add(_ element: Element) throws(WireError) {
    guard count < WireReader.mostElements else { throw .tooMany }
    append(element)
  }
}
