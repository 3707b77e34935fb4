/// The resident pages of an object: a radix tree of fan-out 512 whose slot at any level up to the
/// largest superpage may hold a whole run, as a page table holds large leaves.
///
/// A superpage of 1 GiB is one slot. A slot splits when a part of it becomes different, which takes
/// no frames, and merges again when its 512 parts are contiguous, aligned and equal. Costs grow
/// with the slots, not with the pages.
///
/// An index at or beyond the size is absent; making one resident, or changing a range that reaches
/// beyond the size, is a broken invariant.
///
/// Invariants:
/// - The root has only as many slots as the size needs, and every other node 512.
/// - A run at level n starts at an index and at a frame that are multiples of 512^n.
/// - `present[node]` is the number of slots in use; no node but the root is empty.
/// - No node could be a run of its parent: 512 equal slots have merged.
///
/// Not safe for threads: the object's lock protects it. FreeBSD's counterpart is the object's
/// radix tree (`vm_radix`), which has no superpage slots.
package struct PageTree {
  private let size: PageCount
  private let superpageLevels: Int
  /// The level of the root's slots.
  private let rootLevel: Int
  private let rootSlots: Int
  /// Those of the root, then those of the other nodes.
  private var slots: [PageSlot]
  private var present: [UInt16] = [0]
  private var spareNodes: [Int] = []

  /// The number of pages that are resident.
  package private(set) var residentCount = PageCount.zero
  /// The numbers of those that are busy, and of those that are wired.
  private(set) var busyCount = PageCount.zero
  private(set) var wiredCount = PageCount.zero

  /// The most pages of an object.
  package static let largestSize = PageCount(1 << 62)
  static let fanOut = 512
  private static let root = 0

  /// Creates an empty tree for the indexes below `size`.
  ///
  /// - Parameters:
  ///   - size: at most `largestSize`.
  ///   - superpageLevels: how many levels of slots above the base page's may hold runs.
  package init(size: PageCount, superpageLevels: Int) {
    precondition(size <= PageTree.largestSize, "an object has at most 2^62 pages")
    self.superpageLevels = superpageLevels
    var level = 0
    // An object of exactly one superpage is one slot.
    while level < 6, size.rawValue >= 1 << UInt64((level + 1) * Geometry.levelShift) { level += 1 }
    self.size = size
    rootLevel = level
    let shift = UInt64(level * Geometry.levelShift)
    rootSlots = Int((size.rawValue + (1 << shift - 1)) >> shift)
    slots = [PageSlot](repeating: .absent, count: rootSlots)
  }

  /// The size of the nodes.
  package var metadata: ByteCount {
    ByteCount(UInt64(slots.count * 8 + present.count * 2 + spareNodes.count * 8))
  }

  // MARK: Reading

  /// The number of a node's first slot.
  @inline(__always)
  private func base(of node: Int) -> Int {
    node == PageTree.root ? 0 : node * PageTree.fanOut - (PageTree.fanOut - rootSlots)
  }

  /// The slot without a child at which the descent to a page ends.
  private struct Location {
    /// The slot's number among all, and the base two logarithm of its pages.
    var number: Int
    var shift: UInt64
    var slot: PageSlot
  }

  /// Finds the slot of an index below the size.
  @inline(__always)
  private func locate(_ index: PageIndex) -> Location {
    var base = 0
    var level = rootLevel
    while true {
      let shift = UInt64(level * Geometry.levelShift)
      let number = base + Int(index.rawValue >> shift & 511)
      let slot = slots[number]
      guard let child = slot.child else {
        return Location(number: number, shift: shift, slot: slot)
      }
      base = self.base(of: child)
      level -= 1
    }
  }

  /// The state of one page, or nil where nothing is resident.
  ///
  /// - Complexity: O(height), at most 7 steps.
  package subscript(index: PageIndex) -> PageState? {
    if index.rawValue >= size.rawValue { return nil }
    let location = locate(index)
    return location.slot.state?.advanced(by: PageCount(index.rawValue & (1 << location.shift - 1)))
  }

  /// The run of the slot that holds a page, cut to `bounds`, with the state of its first page.
  ///
  /// - Complexity: O(height).
  package func run(
    at index: PageIndex, in bounds: PageRange
  ) -> (range: PageRange, state: PageState)? {
    if index.rawValue >= size.rawValue { return nil }
    let location = locate(index)
    guard let state = location.slot.state else { return nil }
    let origin = (index.rawValue >> location.shift) << location.shift
    let start = max(origin, bounds.start.rawValue)
    let end = min(origin + 1 << location.shift, bounds.end.rawValue)
    return (
      PageRange(from: PageIndex(start), to: PageIndex(end)),
      state.advanced(by: PageCount(start - origin))
    )
  }

  /// Absent pages around an absent one, cut to `bounds`: those of the empty slot and of the empty
  /// ones behind it in the same node, or those beyond the size.
  ///
  /// - Complexity: O(height + 512).
  func gap(at index: PageIndex, in bounds: PageRange) -> PageRange {
    if index.rawValue >= size.rawValue {
      return PageRange(from: max(bounds.start, PageIndex(size.rawValue)), to: bounds.end)
    }
    let location = locate(index)
    precondition(location.slot.isAbsent, "a gap is looked for where a page is")
    let origin = (index.rawValue >> location.shift) << location.shift
    let behindRoot = location.number - rootSlots
    let nodeEnd =
      behindRoot < 0 ? rootSlots : location.number + PageTree.fanOut - behindRoot % PageTree.fanOut
    var end = origin
    var number = location.number
    repeat {
      end = min(end + 1 << location.shift, bounds.end.rawValue)
      number += 1
    } while end < bounds.end.rawValue && number < nodeEnd && slots[number].isAbsent
    return PageRange(from: PageIndex(max(origin, bounds.start.rawValue)), to: PageIndex(end))
  }

  /// Whether nothing is resident in the aligned block of pages around one, of which a part may lie
  /// beyond the size.
  ///
  /// - Complexity: O(height).
  func isAbsent(around index: PageIndex, order: Int) -> Bool {
    if residentCount == .zero { return true }
    let block = (index.rawValue >> UInt64(order)) << UInt64(order)
    if block >= size.rawValue { return true }
    let location = locate(min(index, PageIndex(size.rawValue - 1)))
    return location.slot.isAbsent && location.shift >= UInt64(order)
  }

  /// Calls `body` for each run and each gap of the range in ascending order, cut to the range,
  /// until it returns false. A gap has no state and may come in several pieces.
  ///
  /// - Complexity: O(slots of the range).
  package func forEach(in range: PageRange, _ body: (PageRange, PageState?) -> Bool) {
    let within = PageIndex(min(range.end.rawValue, size.rawValue))
    if range.start < within {
      let part = PageRange(from: range.start, to: within)
      guard visit(PageTree.root, rootLevel, at: 0, part, body) else { return }
    }
    let beyond = max(range.start, within)
    if beyond < range.end { _ = body(PageRange(from: beyond, to: range.end), nil) }
  }

  private func visit(
    _ node: Int, _ level: Int, at origin: UInt64, _ range: PageRange,
    _ body: (PageRange, PageState?) -> Bool
  ) -> Bool {
    let shift = UInt64(level * Geometry.levelShift)
    let base = base(of: node)
    var position = range.start.rawValue
    while position < range.end.rawValue {
      let index = Int((position - origin) >> shift)
      let start = origin + UInt64(index) << shift
      var end = min(range.end.rawValue, start + 1 << shift)
      let slot = slots[base + index]
      if let child = slot.child {
        let part = PageRange(from: PageIndex(position), to: PageIndex(end))
        guard visit(child, level - 1, at: start, part, body) else { return false }
      } else if let state = slot.state {
        let part = PageRange(from: PageIndex(position), to: PageIndex(end))
        guard body(part, state.advanced(by: PageCount(position - start))) else { return false }
      } else {
        var next = index + 1
        while end < range.end.rawValue, next < PageTree.fanOut,
          slots[base + next].isAbsent
        {
          next += 1
          end = min(range.end.rawValue, origin + UInt64(next) << shift)
        }
        guard body(PageRange(from: PageIndex(position), to: PageIndex(end)), nil) else {
          return false
        }
      }
      position = end
    }
    return true
  }

  // MARK: Changing

  /// Makes the pages from `index` on, which are absent, resident in the frames from `state.frame`
  /// on.
  ///
  /// - Complexity: O(slots of the run · height).
  package mutating func insert(_ count: PageCount, at index: PageIndex, _ state: PageState) {
    let range = PageRange(start: index, count: count)
    checkBounds(range)
    insert(PageTree.root, rootLevel, at: 0, range, state)
    tally(state, count, isThere: true)
  }

  /// Counts pages of a state that are there now, or no longer.
  private mutating func tally(_ state: PageState, _ count: PageCount, isThere: Bool) {
    func change(_ sum: inout PageCount) { if isThere { sum += count } else { sum -= count } }
    change(&residentCount)
    if state.isBusy { change(&busyCount) }
    if state.wireCount > 0 { change(&wiredCount) }
  }

  private func checkBounds(_ range: PageRange) {
    precondition(
      range.end.rawValue <= size.rawValue, "pages beyond the end of an object are changed")
  }

  private mutating func insert(
    _ node: Int, _ level: Int, at origin: UInt64, _ range: PageRange, _ state: PageState
  ) {
    let shift = UInt64(level * Geometry.levelShift)
    var position = range.start.rawValue
    while position < range.end.rawValue {
      let index = Int((position - origin) >> shift)
      let start = origin + UInt64(index) << shift
      let end = min(range.end.rawValue, start + 1 << shift)
      let part = state.advanced(by: PageCount(position - range.start.rawValue))
      let number = base(of: node) + index
      if end - position == 1 << shift, level <= superpageLevels,
        part.frame.isAligned(toOrder: Int(shift))
      {
        precondition(slots[number].isAbsent, "a page is inserted over a resident one")
        slots[number] = PageSlot(part)
        present[node] += 1
      } else {
        let child = childNode(of: node, index, level: level)
        insert(
          child, level - 1, at: start, PageRange(from: PageIndex(position), to: PageIndex(end)),
          part)
        settle(child, of: node, index, level: level)
      }
      position = end
    }
  }

  /// Changes the states of the resident pages of the range, run by run. `body` must not change the
  /// frame.
  ///
  /// - Complexity: O(slots of the range · height); splitting takes a node, never a frame.
  package mutating func update(in range: PageRange, _ body: (inout PageState) -> Void) {
    checkBounds(range)
    if !range.isEmpty { update(PageTree.root, rootLevel, at: 0, range, body) }
  }

  private mutating func update(
    _ node: Int, _ level: Int, at origin: UInt64, _ range: PageRange,
    _ body: (inout PageState) -> Void
  ) {
    let shift = UInt64(level * Geometry.levelShift)
    var position = range.start.rawValue
    while position < range.end.rawValue {
      let index = Int((position - origin) >> shift)
      let start = origin + UInt64(index) << shift
      let end = min(range.end.rawValue, start + 1 << shift)
      let number = base(of: node) + index
      if end - position == 1 << shift, var state = slots[number].state {
        let pages = PageCount(1 << shift)
        tally(state, pages, isThere: false)
        body(&state)
        tally(state, pages, isThere: true)
        slots[number] = PageSlot(state)
      } else if !slots[number].isAbsent {
        let child = childNode(of: node, index, level: level)
        update(
          child, level - 1, at: start, PageRange(from: PageIndex(position), to: PageIndex(end)),
          body)
        settle(child, of: node, index, level: level)
      }
      position = end
    }
  }

  /// Removes the resident pages of the range and calls `body` with each run.
  ///
  /// - Complexity: O(slots of the range · height).
  package mutating func remove(in range: PageRange, _ body: (PageRange, PageState) -> Void) {
    checkBounds(range)
    if !range.isEmpty { remove(PageTree.root, rootLevel, at: 0, range, body) }
  }

  private mutating func remove(
    _ node: Int, _ level: Int, at origin: UInt64, _ range: PageRange,
    _ body: (PageRange, PageState) -> Void
  ) {
    let shift = UInt64(level * Geometry.levelShift)
    var position = range.start.rawValue
    while position < range.end.rawValue {
      let index = Int((position - origin) >> shift)
      let start = origin + UInt64(index) << shift
      let end = min(range.end.rawValue, start + 1 << shift)
      let part = PageRange(from: PageIndex(position), to: PageIndex(end))
      let number = base(of: node) + index
      if end - position == 1 << shift, let state = slots[number].state {
        slots[number] = .absent
        present[node] -= 1
        tally(state, part.count, isThere: false)
        body(part, state)
      } else if !slots[number].isAbsent {
        let child = childNode(of: node, index, level: level)
        remove(child, level - 1, at: start, part, body)
        settle(child, of: node, index, level: level)
      }
      position = end
    }
  }

  // MARK: Splitting and merging

  /// The child node at a slot of a node of `level`; a run there is split into its parts.
  private mutating func childNode(of node: Int, _ index: Int, level: Int) -> Int {
    let number = base(of: node) + index
    let slot = slots[number]
    if let child = slot.child { return child }
    let child = spareNodes.popLast() ?? present.count
    if child == present.count {
      slots.append(contentsOf: repeatElement(.absent, count: PageTree.fanOut))
      present.append(0)
    }
    if slot.isRun {
      let step = UInt64(1) << UInt64((level - 1) * Geometry.levelShift)
      let first = base(of: child)
      for part in 0..<PageTree.fanOut {
        slots[first + part] = slot.advanced(by: UInt64(part) * step)
      }
      present[child] = UInt16(PageTree.fanOut)
    } else {
      present[node] += 1
    }
    slots[number] = PageSlot(child: child)
    return child
  }

  /// Restores the invariants of a slot whose child has changed: an empty child is removed, equal
  /// parts become a run again.
  private mutating func settle(_ child: Int, of node: Int, _ index: Int, level: Int) {
    let first = base(of: child)
    if present[child] == 0 {
      slots[base(of: node) + index] = .absent
      present[node] -= 1
      spareNodes.append(child)
      return
    }
    guard present[child] == PageTree.fanOut, level <= superpageLevels, slots[first].isRun else {
      return
    }
    let step = UInt64(1) << UInt64((level - 1) * Geometry.levelShift)
    let run = slots[first]
    // The last part first: where a node fills up or changes from one end, it is the one that
    // differs.
    guard slots[first + 511] == run.advanced(by: 511 * step), let state = run.state,
      state.frame.isAligned(toOrder: level * Geometry.levelShift)
    else { return }
    for part in 1..<511 where slots[first + part] != run.advanced(by: UInt64(part) * step) {
      return
    }
    for part in 0..<PageTree.fanOut { slots[first + part] = .absent }
    present[child] = 0
    spareNodes.append(child)
    slots[base(of: node) + index] = run
  }
}
