/// Writes the fields of a message. Fields with their default are left out, as proto3 does.
package struct WireWriter {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  package mutating func add(_ field: UInt64, _ text: String) {
    if !text.isEmpty { addElement(field, text) }
  }

  package mutating func add(_ field: UInt64, _ flag: Bool) {
    if flag { add(field, UInt64(1)) }
  }

  package mutating func add(_ field: UInt64, _ number: UInt64) {
    guard number != 0 else { return }
    add(number: field << 3)
    add(number: number)
  }

  /// Adds an element of a repeated field, also where it is empty.
  package mutating func addElement(_ field: UInt64, _ text: String) {
    add(field, bytes: text.utf8)
  }

  /// Adds a message, also where it is empty.
  package mutating func add(_ field: UInt64, _ message: some WireMessage) {
    add(field, bytes: message.wire)
  }

  /// Adds a map's entries, which are messages of a key and a value, in the order of their keys.
  package mutating func add(_ field: UInt64, _ map: [String: String]) {
    for (key, value) in map.sorted(by: { $0.key < $1.key }) {
      var entry = WireWriter()
      entry.add(1, key)
      entry.add(2, value)
      add(field, bytes: entry.bytes)
    }
  }

  /// Appends whole fields.
  package mutating func append(_ fields: [UInt8]) { bytes += fields }

  private mutating func add(_ field: UInt64, bytes more: some Collection<UInt8>) {
    add(number: field << 3 | 2)
    add(number: UInt64(more.count))
    bytes += more
  }

  private mutating func add(number: UInt64) {
    var rest = number
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
}
