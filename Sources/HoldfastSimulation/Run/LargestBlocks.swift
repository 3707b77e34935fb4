package import HoldfastCore

/// The guests whose wires can have pages of the largest size, and what they got.
package struct LargestBlocks: Hashable, Sendable, Encodable {
  /// Guests that were wired and have at least one whole page of the largest size.
  package private(set) var guests = 0
  /// Those of which every such page is one block of frames.
  package private(set) var complete = 0
  /// Those of which a part of such pages are blocks.
  package private(set) var partial = 0
  /// The bytes of all such pages.
  package private(set) var possibleBytes = ByteCount.zero
  /// The bytes of those that are blocks.
  package private(set) var bytes = ByteCount.zero

  /// No guests.
  init() {}

  /// Adds a wired guest.
  ///
  /// - Parameters:
  ///   - possible: the bytes of its whole pages of the largest size.
  ///   - bytes: those of them that are blocks.
  mutating func add(possible: ByteCount, bytes: ByteCount) {
    guard possible > .zero else { return }
    guests += 1
    possibleBytes += possible
    self.bytes += bytes
    if bytes == possible { complete += 1 } else if bytes > .zero { partial += 1 }
  }
}
