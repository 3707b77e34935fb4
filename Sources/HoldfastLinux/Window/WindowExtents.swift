internal import HoldfastCore

/// Which parts of a window a guest has entered pages of, and to which parts of the arena's file
/// they belong, in ascending order; equal neighbors are joined. The kernel's mappings are those of
/// `WindowMappings`.
struct WindowExtents {
  /// A range of the window whose pages are contiguous in the file.
  struct Extent: WindowPart {
    /// In bytes from the window's start.
    var range: Range<UInt64>
    /// The offset in the file less that in the window, modulo 2^64.
    var delta: UInt64
    /// The guest's permissions.
    var protection = Protection.readWrite
    /// Whether no page is in the page tables, because their protection changed: `refresh` or a
    /// fault enters them again. A vacant extent is trapped.
    var isVacant = false

    func continues(in next: Extent) -> Bool {
      delta == next.delta && protection == next.protection && isVacant == next.isVacant
    }
  }

  private var parts = WindowParts<Extent>()

  /// All extents, in ascending order.
  var all: [Extent] { parts.all }

  /// The number of extents.
  var count: Int { parts.count }

  /// The extent that covers the whole range, or nil.
  func covering(_ range: Range<UInt64>) -> Extent? {
    guard let extent = parts.part(at: range.lowerBound),
      extent.range.upperBound >= range.upperBound
    else { return nil }
    return extent
  }

  /// The extents that overlap the range, clamped to it.
  func parts(of range: Range<UInt64>) -> [Extent] { parts.parts(of: range) }

  /// Whether an extent overlaps the range.
  func overlaps(_ range: Range<UInt64>) -> Bool { parts.overlaps(range) }

  /// Calls `body` with each extent that is not vacant.
  func forEachTranslation(
    _ geometry: Geometry, _ body: (Address, FrameRun, Protection, _ isWired: Bool?) -> Void
  ) {
    for extent in all where !extent.isVacant {
      let first = ByteCount(extent.range.lowerBound &+ extent.delta)
      let frames = FrameRun(
        Frame(0) + geometry.pages(in: first),
        geometry.pages(in: ByteCount(UInt64(extent.range.count))))
      body(Address(extent.range.lowerBound), frames, extent.protection, nil)
    }
  }

  /// Removes what the extents say about a range.
  mutating func remove(_ range: Range<UInt64>) { parts.replace(range, by: nil) }

  /// Inserts an extent in place of what was in its range.
  mutating func insert(_ extent: Extent) { parts.replace(extent.range, by: extent) }
}
