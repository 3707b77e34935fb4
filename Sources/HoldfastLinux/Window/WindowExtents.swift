internal import HoldfastCore

/// Which parts of a window are mapped to which parts of the arena's file, in ascending order; equal
/// neighbors are merged. Each extent is a mapping of the kernel (VMA), and so is each gap.
struct WindowExtents {
  /// A range of the window that one mapping covers.
  struct Extent: Equatable {
    /// In bytes from the window's start.
    var range: Range<UInt64>
    /// The offset in the file less that in the window, modulo 2^64.
    var delta: UInt64
    /// Whether it is registered with userfaultfd, so that a page is accessible only once it has
    /// been installed.
    var isTrapped: Bool
    /// The guest's permissions.
    var protection = Protection.readWrite
    /// Whether no page is installed. A vacant extent is trapped, and there for pages to come.
    var isVacant = false
  }

  /// All extents, in ascending order.
  private(set) var all: [Extent] = []

  /// The index of the first extent that ends after `offset`.
  ///
  /// - Complexity: O(log extents).
  private func position(after offset: UInt64) -> Int {
    all.partitioningIndex { $0.range.upperBound > offset }
  }

  /// The extent that covers the whole range, or nil.
  func covering(_ range: Range<UInt64>) -> Extent? {
    let position = position(after: range.lowerBound)
    guard position < all.count, all[position].range.lowerBound <= range.lowerBound,
      all[position].range.upperBound >= range.upperBound
    else { return nil }
    return all[position]
  }

  /// Whether extents of any kind cover the whole range.
  func covers(_ range: Range<UInt64>) -> Bool {
    var covered = range.lowerBound
    var position = position(after: covered)
    while position < all.count, all[position].range.lowerBound <= covered {
      covered = all[position].range.upperBound
      if covered >= range.upperBound { return true }
      position += 1
    }
    return range.isEmpty
  }

  /// Whether a bound of the range is inside of an extent, so that a change of the range splits it.
  func isCut(at range: Range<UInt64>) -> Bool {
    [range.lowerBound, range.upperBound].contains { bound in
      let position = position(after: bound)
      return position < all.count && all[position].range.lowerBound < bound
    }
  }

  /// The extents that overlap the range, clamped to it.
  func parts(of range: Range<UInt64>) -> [Extent] {
    var parts: [Extent] = []
    var position = position(after: range.lowerBound)
    while position < all.count, all[position].range.lowerBound < range.upperBound {
      var part = all[position]
      part.range = part.range.clamped(to: range)
      parts.append(part)
      position += 1
    }
    return parts
  }

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
  mutating func remove(_ range: Range<UInt64>) {
    let first = position(after: range.lowerBound)
    var last = first
    var rest: [Extent] = []
    while last < all.count, all[last].range.lowerBound < range.upperBound {
      let extent = all[last]
      if extent.range.lowerBound < range.lowerBound {
        var head = extent
        head.range = extent.range.lowerBound..<range.lowerBound
        rest.append(head)
      }
      if extent.range.upperBound > range.upperBound {
        var tail = extent
        tail.range = range.upperBound..<extent.range.upperBound
        rest.append(tail)
      }
      last += 1
    }
    all.replaceSubrange(first..<last, with: rest)
  }

  /// Inserts an extent in place of what was in its range.
  mutating func insert(_ extent: Extent) {
    remove(extent.range)
    var joined = extent
    var first = position(after: extent.range.lowerBound)
    var last = first
    if first > 0, isAlike(all[first - 1], extent),
      all[first - 1].range.upperBound == extent.range.lowerBound
    {
      first -= 1
      joined.range = all[first].range.lowerBound..<joined.range.upperBound
    }
    if last < all.count, isAlike(all[last], extent),
      all[last].range.lowerBound == extent.range.upperBound
    {
      joined.range = joined.range.lowerBound..<all[last].range.upperBound
      last += 1
    }
    all.replaceSubrange(first..<last, with: [joined])
  }

  private func isAlike(_ one: Extent, _ other: Extent) -> Bool {
    one.delta == other.delta && one.isTrapped == other.isTrapped
      && one.protection == other.protection && one.isVacant == other.isVacant
  }
}
