internal import HoldfastCore

/// Which parts of a window are mapped to which parts of the arena's file, sorted and joined where
/// alike. An extent is a mapping of the kernel's, and so is a gap between two.
struct WindowExtents {
  struct Extent: Equatable {
    var range: Range<UInt64>
    /// File offset less window offset, modulo 2^64.
    var delta: UInt64
    /// Registered with userfaultfd: a page can be reached only once it was continued.
    var isTrapped: Bool
    var protection = Protection.readWrite
    /// Trapped, and no page of it can be reached: only the mapping is there, for pages to come.
    var isVacant = false
  }

  private(set) var all: [Extent] = []

  /// The position of the first extent that ends after `offset`.
  private func position(after offset: UInt64) -> Int {
    all.partitioningIndex { $0.range.upperBound > offset }
  }

  /// The extent that covers all of a range, if one does.
  func covering(_ range: Range<UInt64>) -> Extent? {
    let position = position(after: range.lowerBound)
    guard position < all.count, all[position].range.lowerBound <= range.lowerBound,
      all[position].range.upperBound >= range.upperBound
    else { return nil }
    return all[position]
  }

  /// Whether all of a range is in extents, of whatever kind.
  func covers(_ range: Range<UInt64>) -> Bool {
    var place = range.lowerBound
    var position = position(after: place)
    while position < all.count, all[position].range.lowerBound <= place {
      place = all[position].range.upperBound
      if place >= range.upperBound { return true }
      position += 1
    }
    return range.isEmpty
  }

  /// Whether an end of a range lies inside of an extent: whole ones go or change without a split.
  func isCut(at range: Range<UInt64>) -> Bool {
    [range.lowerBound, range.upperBound].contains { bound in
      let position = position(after: bound)
      return position < all.count && all[position].range.lowerBound < bound
    }
  }

  /// The extents of a range, cut to it.
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

  /// Calls `body` with what can be reached.
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

  /// Forgets what was mapped in a range.
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

  /// Notes a mapping, in place of what was there.
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
