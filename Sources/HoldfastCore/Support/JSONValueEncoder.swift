/// Makes a `JSONValue` of an Encodable value. Numbers that are not finite become null.
struct JSONValueEncoder: Encoder {
  /// A value that containers fill in.
  final class Box {
    enum Content {
      case value(JSONValue)
      case array([Box])
      case object([(String, Box)])
    }

    var content = Content.value(.null)

    var value: JSONValue {
      switch content {
      case .value(let value): value
      case .array(let boxes): .array(boxes.map(\.value))
      case .object(let members): .object(members.map { ($0.0, $0.1.value) })
      }
    }
  }

  /// The JSON of a value.
  static func value(of value: some Encodable) throws -> JSONValue {
    let box = Box()
    try value.encode(to: JSONValueEncoder(box: box))
    return box.value
  }

  let box: Box
  let codingPath: [any CodingKey] = []
  let userInfo: [CodingUserInfoKey: Any] = [:]

  func container<Key>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    if case .object = box.content {} else { box.content = .object([]) }
    return KeyedEncodingContainer(Keyed<Key>(box: box))
  }

  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    if case .array = box.content {} else { box.content = .array([]) }
    return Unkeyed(box: box)
  }

  func singleValueContainer() -> any SingleValueEncodingContainer { Single(box: box) }

  private static func json(_ value: some BinaryFloatingPoint & CustomStringConvertible) -> JSONValue
  {
    value.isFinite ? .number(value.description) : .null
  }

  /// One value.
  private struct Single: SingleValueEncodingContainer {
    let box: Box
    let codingPath: [any CodingKey] = []

    private func put(_ value: JSONValue) { box.content = .value(value) }

    func encodeNil() { put(.null) }
    func encode(_ value: Bool) { put(.bool(value)) }
    func encode(_ value: String) { put(.string(value)) }
    func encode(_ value: Double) { put(JSONValueEncoder.json(value)) }
    func encode(_ value: Float) { put(JSONValueEncoder.json(value)) }
    func encode(_ value: Int) { put(.number("\(value)")) }
    func encode(_ value: Int8) { put(.number("\(value)")) }
    func encode(_ value: Int16) { put(.number("\(value)")) }
    func encode(_ value: Int32) { put(.number("\(value)")) }
    func encode(_ value: Int64) { put(.number("\(value)")) }
    func encode(_ value: UInt) { put(.number("\(value)")) }
    func encode(_ value: UInt8) { put(.number("\(value)")) }
    func encode(_ value: UInt16) { put(.number("\(value)")) }
    func encode(_ value: UInt32) { put(.number("\(value)")) }
    func encode(_ value: UInt64) { put(.number("\(value)")) }
    func encode<Value: Encodable>(_ value: Value) throws {
      try value.encode(to: JSONValueEncoder(box: box))
    }
  }

  /// The members of an object.
  private struct Keyed<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let box: Box
    let codingPath: [any CodingKey] = []

    private func member(_ key: any CodingKey) -> Box {
      let member = Box()
      if case .object(let members) = box.content {
        box.content = .object(members + [(key.stringValue, member)])
      }
      return member
    }

    func encodeNil(forKey key: Key) { _ = member(key) }

    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
      try value.encode(to: JSONValueEncoder(box: member(key)))
    }

    func nestedContainer<Nested>(
      keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
      JSONValueEncoder(box: member(key)).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
      JSONValueEncoder(box: member(key)).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { JSONValueEncoder(box: box) }
    func superEncoder(forKey key: Key) -> any Encoder { JSONValueEncoder(box: member(key)) }
  }

  /// The elements of an array.
  private struct Unkeyed: UnkeyedEncodingContainer {
    let box: Box
    let codingPath: [any CodingKey] = []

    var count: Int {
      if case .array(let elements) = box.content { elements.count } else { 0 }
    }

    private func element() -> Box {
      let element = Box()
      if case .array(let elements) = box.content { box.content = .array(elements + [element]) }
      return element
    }

    func encodeNil() { _ = element() }

    func encode<Value: Encodable>(_ value: Value) throws {
      try value.encode(to: JSONValueEncoder(box: element()))
    }

    func nestedContainer<Nested>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
      JSONValueEncoder(box: element()).container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
      JSONValueEncoder(box: element()).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { JSONValueEncoder(box: element()) }
  }
}
