/// A value whose JSON has every key: where its type leaves a key out because there is no value, as
/// Swift's own encoding of optional properties does, the key is null. So a program that reads the
/// output finds the same keys in each.
package struct CompleteValue<Value: Encodable>: Encodable {
  private let value: Value

  /// The value, with every key.
  package init(_ value: Value) { self.value = value }

  package func encode(to encoder: any Encoder) throws {
    try value.encode(to: CompleteEncoder(inner: encoder))
  }
}

/// Passes everything on to another encoder, with null for keys that would be left out.
private struct CompleteEncoder: Encoder {
  let inner: any Encoder

  var codingPath: [any CodingKey] { inner.codingPath }
  var userInfo: [CodingUserInfoKey: Any] { inner.userInfo }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    KeyedEncodingContainer(CompleteObject(inner: inner.container(keyedBy: type)))
  }

  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    CompleteArray(inner: inner.unkeyedContainer())
  }

  func singleValueContainer() -> any SingleValueEncodingContainer {
    CompleteSingleValue(inner: inner.singleValueContainer())
  }
}

private struct CompleteObject<Key: CodingKey>: KeyedEncodingContainerProtocol {
  var inner: KeyedEncodingContainer<Key>

  var codingPath: [any CodingKey] { inner.codingPath }

  mutating func encodeNil(forKey key: Key) throws { try inner.encodeNil(forKey: key) }

  mutating func encode(_ value: some Encodable, forKey key: Key) throws {
    try inner.encode(CompleteValue(value), forKey: key)
  }

  // Where a type has no method of its own here, the protocol's leaves out the key.

  mutating func encodeIfPresent(_ value: (some Encodable)?, forKey key: Key) throws {
    try encodeOrNull(value, key)
  }
  mutating func encodeIfPresent(_ value: Bool?, forKey key: Key) throws {
    try encodeOrNull(value, key)
  }
  mutating func encodeIfPresent(_ value: String?, forKey key: Key) throws {
    try encodeOrNull(value, key)
  }
  mutating func encodeIfPresent(_ value: Double?, forKey key: Key) throws {
    try encodeOrNull(value, key)
  }
  mutating func encodeIfPresent(_ value: Float?, forKey key: Key) throws {
    try encodeOrNull(value, key)
  }
  mutating func encodeIfPresent(_ value: Int?, forKey key: Key) throws {
    try encodeOrNull(value, key)
  }
  mutating func encodeIfPresent(_ value: Int8?, forKey key: Key) throws {
    try encodeOrNull(value, key)
  }
  mutating func encodeIfPresent(_ value: Int16?, forKey key: Key) throws {
    try encodeOrNull(value, key)
  }
  mutating func encodeIfPresent(_ value: Int32?, forKey key: Key) throws {
    try encodeOrNull(value, key)
  }
  mutating func encodeIfPresent(_ value: Int64?, forKey key: Key) throws {
    try encodeOrNull(value, key)
  }
  mutating func encodeIfPresent(_ value: UInt?, forKey key: Key) throws {
    try encodeOrNull(value, key)
  }
  mutating func encodeIfPresent(_ value: UInt8?, forKey key: Key) throws {
    try encodeOrNull(value, key)
  }
  mutating func encodeIfPresent(_ value: UInt16?, forKey key: Key) throws {
    try encodeOrNull(value, key)
  }
  mutating func encodeIfPresent(_ value: UInt32?, forKey key: Key) throws {
    try encodeOrNull(value, key)
  }
  mutating func encodeIfPresent(_ value: UInt64?, forKey key: Key) throws {
    try encodeOrNull(value, key)
  }

  private mutating func encodeOrNull(_ value: (some Encodable)?, _ key: Key) throws {
    if let value { try encode(value, forKey: key) } else { try encodeNil(forKey: key) }
  }

  mutating func nestedContainer<Nested: CodingKey>(
    keyedBy type: Nested.Type, forKey key: Key
  ) -> KeyedEncodingContainer<Nested> {
    KeyedEncodingContainer(
      CompleteObject<Nested>(inner: inner.nestedContainer(keyedBy: type, forKey: key)))
  }

  mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
    CompleteArray(inner: inner.nestedUnkeyedContainer(forKey: key))
  }

  mutating func superEncoder() -> any Encoder { CompleteEncoder(inner: inner.superEncoder()) }

  mutating func superEncoder(forKey key: Key) -> any Encoder {
    CompleteEncoder(inner: inner.superEncoder(forKey: key))
  }
}

private struct CompleteArray: UnkeyedEncodingContainer {
  var inner: any UnkeyedEncodingContainer

  var codingPath: [any CodingKey] { inner.codingPath }
  var count: Int { inner.count }

  mutating func encodeNil() throws { try inner.encodeNil() }

  mutating func encode(_ value: some Encodable) throws {
    try inner.encode(CompleteValue(value))
  }

  mutating func nestedContainer<Nested: CodingKey>(
    keyedBy type: Nested.Type
  ) -> KeyedEncodingContainer<Nested> {
    KeyedEncodingContainer(CompleteObject<Nested>(inner: inner.nestedContainer(keyedBy: type)))
  }

  mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
    CompleteArray(inner: inner.nestedUnkeyedContainer())
  }

  mutating func superEncoder() -> any Encoder { CompleteEncoder(inner: inner.superEncoder()) }
}

private struct CompleteSingleValue: SingleValueEncodingContainer {
  var inner: any SingleValueEncodingContainer

  var codingPath: [any CodingKey] { inner.codingPath }

  mutating func encodeNil() throws { try inner.encodeNil() }
  mutating func encode(_ value: Bool) throws { try inner.encode(value) }
  mutating func encode(_ value: String) throws { try inner.encode(value) }
  mutating func encode(_ value: Double) throws { try inner.encode(value) }
  mutating func encode(_ value: Float) throws { try inner.encode(value) }
  mutating func encode(_ value: Int) throws { try inner.encode(value) }
  mutating func encode(_ value: Int8) throws { try inner.encode(value) }
  mutating func encode(_ value: Int16) throws { try inner.encode(value) }
  mutating func encode(_ value: Int32) throws { try inner.encode(value) }
  mutating func encode(_ value: Int64) throws { try inner.encode(value) }
  mutating func encode(_ value: UInt) throws { try inner.encode(value) }
  mutating func encode(_ value: UInt8) throws { try inner.encode(value) }
  mutating func encode(_ value: UInt16) throws { try inner.encode(value) }
  mutating func encode(_ value: UInt32) throws { try inner.encode(value) }
  mutating func encode(_ value: UInt64) throws { try inner.encode(value) }

  mutating func encode(_ value: some Encodable) throws {
    try inner.encode(CompleteValue(value))
  }
}
