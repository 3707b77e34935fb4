/// A message of the device plugin or pod-resources protocol, in Protocol Buffers' wire format.
///
/// The messages of this target are written for the published API by its field numbers. They have
/// the fields that the plugin uses; other fields are skipped, as the format demands.
package protocol WireMessage: Hashable, Sendable {
  /// Reads a message.
  ///
  /// - Throws: ``WireError`` where the bytes are not a message.
  /// - Complexity: O(bytes)
  init(wire bytes: ArraySlice<UInt8>) throws(WireError)

  /// Writes the fields that differ from their defaults.
  func write(to writer: inout WireWriter)
}

extension WireMessage {
  package init(wire bytes: [UInt8]) throws(WireError) { try self.init(wire: bytes[...]) }

  /// The message's bytes.
  package var wire: [UInt8] {
    var writer = WireWriter()
    write(to: &writer)
    return writer.bytes
  }
}

/// Why bytes are not a message.
package enum WireError: Error, Hashable {
  /// A field extends beyond the end of its message.
  case truncated
  /// A number has more than ten bytes, or does not fit its field.
  case badNumber
  /// A field number is 0 or above 2^29 - 1, or a wire type is a group's or unknown.
  case badTag
  /// A field has another wire type than the published message.
  case badType
  /// A string is not UTF-8.
  case badText
  /// A message has more elements than the plugin accepts.
  case tooMany
}
