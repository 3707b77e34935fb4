/// Decompresses a file in the format of gzip(1) (RFC 1952), as it is read: one member or several.
package struct GzipReader {
  /// The first bytes of every such file.
  package static let magic: [UInt8] = [0x1F, 0x8B]

  private var inflater: Inflater
  private var isInMember = false
  private var checksum = Checksum()
  private var length: UInt32 = 0
  private let file: String

  /// A reader of a file's first bytes, and then of those that `source` returns until it returns
  /// none.
  ///
  /// - Parameter file: the file's name, for errors.
  package init(
    file: String, _ bytes: ArraySlice<UInt8>, then source: @escaping () throws -> ArraySlice<UInt8>
  ) {
    self.file = file
    inflater = Inflater(BitReader(bytes, then: source))
  }

  /// The next part of the contents, not empty; nil at the end.
  ///
  /// - Throws: `TraceError` where the file is damaged or ends early; what the source throws.
  package mutating func next() throws -> ArraySlice<UInt8>? {
    do {
      while true {
        if !isInMember {
          guard try beginMember() else { return nil }
        }
        if let part = try inflater.next() {
          checksum.add(part)
          length &+= UInt32(truncatingIfNeeded: part.count)
          return part
        }
        try endMember()
      }
    } catch let failure as Inflater.Failure {
      throw TraceError(
        file: file, line: nil, column: nil,
        reason: failure == .endsEarly
          ? "the compressed file ends early" : "the compressed file is damaged",
        advice: "download or copy it again")
    }
  }

  /// Reads a member's header; false where none follows.
  private mutating func beginMember() throws -> Bool {
    // Copies to tapes and disks may end in zeros.
    repeat {
      if try inflater.input.isAtEnd() { return false }
    } while try isPadding()
    guard try inflater.input.read(8) == UInt64(Self.magic[0]),
      try inflater.input.read(8) == UInt64(Self.magic[1]), try inflater.input.read(8) == 8
    else { throw Inflater.Failure.damaged }
    let flags = try inflater.input.read(8)
    guard flags & 0xE0 == 0 else { throw Inflater.Failure.damaged }
    // The time, and two bytes about the compressor.
    for _ in 0..<6 { _ = try inflater.input.read(8) }
    if flags & 4 != 0 {
      for _ in 0..<(try inflater.input.read(16)) { _ = try inflater.input.read(8) }
    }
    for flag in [UInt64(8), 16] where flags & flag != 0 {
      // The name and a comment end in a zero byte.
      while try inflater.input.read(8) != 0 {}
    }
    if flags & 2 != 0 { _ = try inflater.input.read(16) }
    inflater = Inflater(inflater.input)
    checksum = Checksum()
    length = 0
    isInMember = true
    return true
  }

  private mutating func isPadding() throws -> Bool {
    guard try inflater.input.peek(8) == 0 else { return false }
    try inflater.input.skip(8)
    return true
  }

  private mutating func endMember() throws {
    inflater.input.skipToByte()
    let wanted = try inflater.input.read(32)
    guard wanted == UInt64(checksum.value), try inflater.input.read(32) == UInt64(length) else {
      throw Inflater.Failure.damaged
    }
    isInMember = false
  }

  /// The checksum of a member (CRC-32).
  private struct Checksum {
    private var register = UInt32.max

    var value: UInt32 { ~register }

    private static let table: [UInt32] = (0..<256).map { byte in
      (0..<8).reduce(UInt32(byte)) { value, _ in
        value & 1 == 0 ? value >> 1 : value >> 1 ^ 0xEDB8_8320
      }
    }

    mutating func add(_ bytes: ArraySlice<UInt8>) {
      for byte in bytes {
        register = register >> 8 ^ Self.table[Int((register ^ UInt32(byte)) & 0xFF)]
      }
    }
  }
}
