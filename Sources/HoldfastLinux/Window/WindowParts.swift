internal import HoldfastCore

/// A part of a window that has one state.
protocol WindowPart: Equatable {
  /// In bytes from the window's start.
  var range: Range<UInt64> { get set }
  /// Whether `next`, which begins where this part ends, is of the same state, so that both are one.
  func continues(in next: Self) -> Bool
}

/// Parts of a window in ascending order that do not overlap; neighbors of one state are joined.
///
/// A guest may have a part for every second base page, so the parts are kept in chunks: a change
/// moves those of one chunk, not all that follow.
struct WindowParts<Part: WindowPart> {
  /// None is empty.
  private var chunks: [[Part]] = []
  /// The number of parts.
  private(set) var count = 0

  private static var largestChunk: Int { 512 }

  /// A place in the chunks; that behind the last part has the number of chunks as its chunk.
  private struct Position: Equatable {
    var chunk: Int
    var index: Int
  }

  /// A change that has been worked out and not made.
  private struct Change {
    var first: Position
    var last: Position
    var removed: Int
    /// What is put in their place, in ascending order.
    var before: Part?
    var part: Part?
    var after: Part?

    var added: Int {
      (before == nil ? 0 : 1) + (part == nil ? 0 : 1) + (after == nil ? 0 : 1) - removed
    }
  }

  /// All parts.
  var all: [Part] { chunks.flatMap { $0 } }

  /// The part that contains an offset.
  ///
  /// - Complexity: O(log parts).
  func part(at offset: UInt64) -> Part? {
    guard let part = self[position(after: offset)], part.range.contains(offset) else { return nil }
    return part
  }

  /// The parts that overlap a range, clamped to it.
  func parts(of range: Range<UInt64>) -> [Part] {
    var found: [Part] = []
    var position = position(after: range.lowerBound)
    while var part = self[position], part.range.lowerBound < range.upperBound {
      part.range = part.range.clamped(to: range)
      found.append(part)
      position = next(position)
    }
    return found
  }

  /// Whether a part overlaps a range.
  func overlaps(_ range: Range<UInt64>) -> Bool {
    guard let part = self[position(after: range.lowerBound)] else { return false }
    return part.range.lowerBound < range.upperBound
  }

  /// How many more parts there would be after `replace`.
  func added(_ range: Range<UInt64>, by part: Part?) -> Int {
    change(range, by: part).added
  }

  /// Removes what is in a range, and inserts `part`, whose range it is, unless nil.
  ///
  /// - Complexity: O(log parts + replaced parts).
  mutating func replace(_ range: Range<UInt64>, by part: Part?) {
    make(change(range, by: part))
  }

  // MARK: Positions

  private subscript(position: Position) -> Part? {
    position.chunk < chunks.count ? chunks[position.chunk][position.index] : nil
  }

  /// The first part that ends after an offset.
  private func position(after offset: UInt64) -> Position {
    let chunk = chunks.partitioningIndex { $0[$0.count - 1].range.upperBound > offset }
    guard chunk < chunks.count else { return Position(chunk: chunk, index: 0) }
    return Position(
      chunk: chunk, index: chunks[chunk].partitioningIndex { $0.range.upperBound > offset })
  }

  private func next(_ position: Position) -> Position {
    position.index + 1 < chunks[position.chunk].count
      ? Position(chunk: position.chunk, index: position.index + 1)
      : Position(chunk: position.chunk + 1, index: 0)
  }

  private func previous(_ position: Position) -> Position? {
    if position.index > 0 { return Position(chunk: position.chunk, index: position.index - 1) }
    guard position.chunk > 0 else { return nil }
    return Position(chunk: position.chunk - 1, index: chunks[position.chunk - 1].count - 1)
  }

  // MARK: Changes

  private func change(_ range: Range<UInt64>, by part: Part?) -> Change {
    var first = position(after: range.lowerBound)
    var last = first
    var removed = 0
    var before: Part?
    var after: Part?
    while let old = self[last], old.range.lowerBound < range.upperBound {
      if old.range.lowerBound < range.lowerBound {
        before = old
        before?.range = old.range.lowerBound..<range.lowerBound
      }
      if old.range.upperBound > range.upperBound {
        after = old
        after?.range = range.upperBound..<old.range.upperBound
      }
      last = next(last)
      removed += 1
    }
    guard var joined = part else {
      return Change(first: first, last: last, removed: removed, before: before, after: after)
    }
    if before == nil, let position = previous(first), let old = self[position],
      old.range.upperBound == range.lowerBound
    {
      before = old
      first = position
      removed += 1
    }
    if after == nil, let old = self[last], old.range.lowerBound == range.upperBound {
      after = old
      last = next(last)
      removed += 1
    }
    if let old = before, old.continues(in: joined) {
      joined.range = old.range.lowerBound..<joined.range.upperBound
      before = nil
    }
    if let old = after, joined.continues(in: old) {
      joined.range = joined.range.lowerBound..<old.range.upperBound
      after = nil
    }
    return Change(
      first: first, last: last, removed: removed, before: before, part: joined, after: after)
  }

  private mutating func make(_ change: Change) {
    count += change.added
    var first = change.first
    var last = change.last
    if first.chunk == chunks.count {
      // Behind the last part.
      if chunks.isEmpty { chunks.append([]) }
      first = Position(chunk: chunks.count - 1, index: chunks[chunks.count - 1].count)
      last = first
    } else if last.index == 0, last.chunk > first.chunk {
      last = Position(chunk: last.chunk - 1, index: chunks[last.chunk - 1].count)
    }
    if first.chunk == last.chunk {
      splice(first.chunk, first.index..<last.index, change)
    } else {
      chunks[last.chunk].removeSubrange(0..<last.index)
      splice(first.chunk, first.index..<chunks[first.chunk].count, change)
      // The last one may have become empty.
      let end = chunks[last.chunk].isEmpty ? last.chunk + 1 : last.chunk
      chunks.removeSubrange(first.chunk + 1..<end)
    }
    balance(first.chunk)
  }

  /// Replaces parts of one chunk, in their places as far as possible.
  private mutating func splice(_ chunk: Int, _ indices: Range<Int>, _ change: Change) {
    var index = indices.lowerBound
    func put(_ part: Part?, in parts: inout [Part]) {
      guard let part else { return }
      if index < indices.upperBound { parts[index] = part } else { parts.insert(part, at: index) }
      index += 1
    }
    put(change.before, in: &chunks[chunk])
    put(change.part, in: &chunks[chunk])
    put(change.after, in: &chunks[chunk])
    if index < indices.upperBound { chunks[chunk].removeSubrange(index..<indices.upperBound) }
  }

  private mutating func balance(_ chunk: Int) {
    let size = chunks[chunk].count
    if size == 0 {
      chunks.remove(at: chunk)
    } else if size > Self.largestChunk {
      let half = Array(chunks[chunk][(size / 2)...])
      chunks[chunk].removeSubrange((size / 2)...)
      chunks.insert(half, at: chunk + 1)
    } else if chunk + 1 < chunks.count, size + chunks[chunk + 1].count < Self.largestChunk / 4 {
      chunks[chunk] += chunks.remove(at: chunk + 1)
    }
  }
}
