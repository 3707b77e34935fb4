/// The bits of a stream of bytes, each byte's lowest first, as DEFLATE reads them.
struct BitReader {
  /// Returns more bytes; none at the end.
  typealias Source = () throws -> ArraySlice<UInt8>

  private let source: Source
  private var bytes: ArraySlice<UInt8>
  /// The index of the next byte.
  private var next: Int
  private var bits: UInt64 = 0
  private var count = 0

  /// A reader of some bytes, and then of those that the source returns.
  init(_ bytes: ArraySlice<UInt8>, then source: @escaping Source) {
    self.bytes = bytes
    next = bytes.startIndex
    self.source = source
  }

  /// Gets at least so many bits, up to 32, or all that are left.
  @inline(__always)
  private mutating func fill(_ wanted: Int) throws {
    while count < wanted {
      if next == bytes.endIndex {
        bytes = try source()
        next = bytes.startIndex
        if bytes.isEmpty { return }
      }
      bits |= UInt64(bytes[next]) << UInt64(count)
      next += 1
      count += 8
    }
  }

  /// The next bits, up to 32, as a number.
  @inline(__always)
  mutating func read(_ wanted: Int) throws -> UInt64 {
    try fill(wanted)
    guard count >= wanted else { throw Inflater.Failure.endsEarly }
    defer { drop(wanted) }
    return bits & (1 << UInt64(wanted) - 1)
  }

  /// The next bits, up to 32, without moving on; those beyond the end are 0.
  @inline(__always)
  mutating func peek(_ wanted: Int) throws -> Int {
    try fill(wanted)
    return Int(bits & (1 << UInt64(wanted) - 1))
  }

  /// Moves on by bits that were peeked at.
  @inline(__always)
  mutating func skip(_ wanted: Int) throws {
    guard count >= wanted else { throw Inflater.Failure.endsEarly }
    drop(wanted)
  }

  /// Moves on to the start of a byte.
  mutating func skipToByte() { drop(count % 8) }

  /// Whether no bit is left.
  mutating func isAtEnd() throws -> Bool {
    try fill(1)
    return count == 0
  }

  @inline(__always)
  private mutating func drop(_ wanted: Int) {
    bits >>= UInt64(wanted)
    count -= wanted
  }
}
