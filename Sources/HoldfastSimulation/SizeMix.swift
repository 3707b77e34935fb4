package import HoldfastCore

/// The guests' sizes. A guest has each with a probability that is proportional to its weight.
package struct SizeMix: Hashable, Sendable {
  /// A size and its weight.
  package struct Part: Hashable, Sendable {
    /// The size, a multiple of the base page.
    package let size: ByteCount
    /// The weight, more than 0.
    package let weight: Double

    /// A size with a weight.
    package init(_ size: ByteCount, weight: Double) {
      self.size = size
      self.weight = weight
    }
  }

  /// The sizes, at least one.
  package let parts: [Part]

  /// A mix of at least one size.
  package init(_ parts: [Part]) {
    precondition(!parts.isEmpty, "a mix needs at least one size")
    self.parts = parts
  }

  /// A mix of which so many guests, three quarters of them wired, use about nine tenths of a memory
  /// or somewhat less. The sizes are from an eighth to four times an equal share of the memory,
  /// which is rounded down to a power of two.
  package init(memory: ByteCount, guests: Int) {
    let page = Geometry.small.pageSize
    let each = max(memory.rawValue / UInt64(max(1, guests)), page.rawValue * 32)
    let unit = UInt64(1) << UInt64(63 - each.leadingZeroBitCount)
    // In thirty-seconds; 7 of them are what a guest of 3.5 GB is beside one of 16.
    let shares: [(UInt64, Double)] = [
      (4, 8), (7, 7), (8, 8), (16, 20), (32, 27), (64, 19), (128, 11),
    ]
    parts = shares.map { Part(ByteCount(unit / 32 * $0.0), weight: $0.1) }
  }

  /// The mean size in bytes.
  package var mean: Double {
    let weights = parts.reduce(0) { $0 + $1.weight }
    return parts.reduce(0) { $0 + Double($1.size.rawValue) * $1.weight } / weights
  }

  /// A random size.
  func pick(_ random: inout RandomSource) -> ByteCount {
    var rest = random.unit() * parts.reduce(0) { $0 + $1.weight }
    for part in parts {
      rest -= part.weight
      if rest < 0 { return part.size }
    }
    return parts[parts.count - 1].size
  }
}
