internal import HoldfastCore
internal import HoldfastLinux

/// Which parts of a template's memory are not holes. On tmpfs the kernel looks at each page to tell,
/// 10 ms for each GiB, so this is noted when a template is sealed.
///
/// The record is a heading, the number of parts, then the first byte and the end of each, with 8
/// bytes each, the lowest first.
struct MemoryData: Hashable, Sendable {
  /// The parts, in ascending order.
  let ranges: [Range<UInt64>]

  private static let heading: [UInt8] = Array("holdfast-data-1\n".utf8)
  /// The most parts that are kept, of which the record takes 1 MiB.
  private static let mostRanges = 1 << 16
  /// The longest record.
  static let longest = UInt64(heading.count + 8 + 16 * mostRanges)

  /// Asks the file system; nil for more parts than are kept.
  init?(of memory: OpenFile, size: ByteCount) {
    ranges = memory.dataRanges(of: 0..<size.rawValue)
    if ranges.count > Self.mostRanges { return nil }
  }

  /// Reads a record; nil where it is not one of a memory of this size.
  init?(_ bytes: [UInt8], size: ByteCount) {
    let start = Self.heading.count
    func number(_ offset: Int) -> UInt64 {
      (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << (8 * UInt64($1)) }
    }
    // A record that lost its end, as in a power failure, must not turn parts into holes.
    guard bytes.starts(with: Self.heading), bytes.count >= start + 8,
      number(start) == UInt64(bytes.count - start - 8) / 16, (bytes.count - start - 8) % 16 == 0
    else { return nil }
    var found: [Range<UInt64>] = []
    var last: UInt64 = 0
    for offset in stride(from: start + 8, to: bytes.count, by: 16) {
      let (first, end) = (number(offset), number(offset + 8))
      guard first >= last, end > first, end <= size.rawValue else { return nil }
      found.append(first..<end)
      last = end
    }
    ranges = found
  }

  /// The record.
  var bytes: [UInt8] {
    let values = [UInt64(ranges.count)] + ranges.flatMap { [$0.lowerBound, $0.upperBound] }
    return values.reduce(into: Self.heading) { bytes, value in
      for index in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
    }
  }
}
