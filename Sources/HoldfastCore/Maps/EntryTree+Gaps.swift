extension EntryTree {
  /// The first range of a length, at a multiple of an alignment, that no entry overlaps (FreeBSD:
  /// `vm_map_findspace`; Linux: `mas_empty_area`).
  ///
  /// - Parameters:
  ///   - length: whole base pages, at least one.
  ///   - alignment: a power of two, at least a base page.
  /// - Returns: the range, or nil where no gap is long enough.
  /// - Complexity: O(log entries) for the alignments of the gaps, which a base page and superpages
  ///   have. For others, O(log entries) for each gap on the way that is long enough from the first
  ///   multiple of the next smaller of these alignments on, but not from that of `alignment` on.
  func firstGap(_ length: ByteCount, alignment: ByteCount) -> AddressRange? {
    let order = alignment.rawValue.trailingZeroBitCount - pageShift
    let level = min(max(0, order) / Geometry.levelShift, 2)
    if let found = firstGap(below: root, level, length, alignment) { return found }
    let end = last.map { self[$0].range.end } ?? bounds.start
    return range(length, alignment, from: end, to: bounds.end)
  }

  private func firstGap(
    below node: Int, _ level: Int, _ length: ByteCount, _ alignment: ByteCount
  ) -> AddressRange? {
    let isLeaf = nodes[node].isLeaf
    for index in 0..<nodes[node].count {
      let gaps = nodes.gaps(node, index)
      if gaps[level] < length.rawValue { continue }
      let found: AddressRange?
      if isLeaf {
        let end = Address(nodes.key(node, index))
        found = range(length, alignment, from: end - ByteCount(gaps.unaligned), to: end)
      } else {
        found = firstGap(below: nodes.link(node, index), level, length, alignment)
      }
      if let found { return found }
    }
    return nil
  }

  private func range(
    _ length: ByteCount, _ alignment: ByteCount, from start: Address, to end: Address
  ) -> AddressRange? {
    guard let aligned = start.roundedUp(to: alignment),
      let range = AddressRange(start: aligned, length: length), range.end <= end
    else { return nil }
    return range
  }

  /// What a gap offers for each alignment.
  func gaps(from start: UInt64, to end: UInt64) -> EntryNodes.Gaps {
    if start == end { return .zero }
    return EntryNodes.Gaps(
      unaligned: end - start, aligned: length(from: start, to: end, level: 1),
      wideAligned: length(from: start, to: end, level: 2))
  }

  @inline(__always)
  private func length(from start: UInt64, to end: UInt64, level: Int) -> UInt64 {
    let mask = UInt64(1) << UInt64(pageShift + level * Geometry.levelShift) - 1
    let aligned = (start &+ mask) & ~mask
    // Rounding up may pass 2^64, or the end.
    return aligned < start || aligned > end ? 0 : end - aligned
  }

  /// Sets the gap before an entry.
  ///
  /// - Complexity: O(1) where that is as long as before, or no longest one; otherwise O(log
  ///   entries).
  mutating func setGaps(at position: Position, _ gaps: EntryNodes.Gaps) {
    let old = nodes.gaps(position.leaf, position.index)
    if old == gaps { return }
    nodes.setGaps(position.leaf, position.index, gaps)
    gapsChanged(of: position.leaf, from: old, to: gaps)
  }

  /// Whether a gap, which is shorter now for some alignment, was a longest one for that.
  @inline(__always)
  private func isLongest(
    _ old: EntryNodes.Gaps, of longest: EntryNodes.Gaps, after new: EntryNodes.Gaps
  ) -> Bool {
    func isLongest(_ level: Int) -> Bool {
      old[level] == longest[level] && new[level] < old[level]
    }
    return isLongest(0) || isLongest(1) || isLongest(2)
  }

  /// Sets the longest gaps of the nodes above one of which a slot's gaps have changed.
  mutating func gapsChanged(
    of node: Int, from old: EntryNodes.Gaps, to new: EntryNodes.Gaps
  ) {
    var node = node
    var old = old
    var new = new
    while node != root {
      let parent = nodes[node].parent
      let slot = nodes.slotInParent(node)
      let longest = nodes.gaps(parent, slot)
      // Elsewhere below is one as long, unless it was this one that is shorter now.
      if new.union(longest) == longest, !isLongest(old, of: longest, after: new) { return }
      let changed = nodes.longestGaps(node)
      if changed == longest { return }
      nodes.setGaps(parent, slot, changed)
      old = longest
      new = changed
      node = parent
    }
  }
}
