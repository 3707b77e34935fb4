internal import HoldfastCore

/// A limit on the mappings that several `CheckingPmap`s have together, counted as Linux counts them
/// for `vm.max_map_count`: a window is mapped without gaps, and neighbors are one mapping where
/// they have the same access and contiguous frames, or where both are holes. An empty window counts
/// as none here.
///
/// As with `MappingRoom`, a call that needs no further mapping is never refused, and `remove` may
/// make mappings that are set aside, since it must not fail: where it was prepared, or undoes what
/// an operation that failed has entered.
package final class MappingLimit: @unchecked Sendable {
  /// Which calls need room besides `enter`.
  package enum Kind: Sendable {
    /// A removal or a protection may split a mapping, for which `prepareToSplit` and
    /// `prepareToProtect` find room, as in a `WindowPmap`.
    case removalsSplit
    /// Removals and protections leave mappings as they are, as in a `PagedWindow`.
    case removalsNeedNoRoom
  }

  /// What a removal needs.
  package let kind: Kind
  private let lock = Lock()
  // Protected by `lock`.
  private var most: Int
  private var present = 0
  private var refused = 0
  private var granted = 0

  /// A limit of `most` mappings.
  package init(_ most: Int = .max, kind: Kind = .removalsSplit) {
    self.kind = kind
    self.most = most
  }

  /// The number of calls that were refused.
  package var refusals: Int { lock.withLock { refused } }
  /// The number of calls that needed a further mapping and got it.
  package var grants: Int { lock.withLock { granted } }
  /// The mappings that all pmaps have.
  package var count: Int { lock.withLock { present } }

  /// Sets the limit to the present number of mappings and `more`, or to none.
  package func allow(_ more: Int?) {
    lock.withLock { most = more.map { present + $0 } ?? .max }
  }

  /// Whether there is room for `added` mappings; counts a refusal where there is not.
  func allows(_ added: Int) -> Bool {
    lock.withLock {
      if added <= 0 || present <= most - added {
        if added > 0 { granted += 1 }
        return true
      }
      refused += 1
      return false
    }
  }

  /// Counts mappings that were made or, if negative, removed.
  ///
  /// - Returns: how many of those that were made are beyond the limit.
  func change(by difference: Int) -> Int {
    lock.withLock {
      present += difference
      return kind == .removalsSplit && present > most ? max(0, difference) : 0
    }
  }

  /// The error of a call that is refused, with the code and errno of `MappingRoom.shortage`.
  func shortage(at address: Address) -> HoldfastError {
    HoldfastError(
      .resourceShortage, at: address, "the test's limit of mappings is reached", errno: 12,
      advice: .raiseLimit("vm.max_map_count"))
  }
}

/// Counts the mappings that the kernel would have for translations in ascending order.
struct MappingCounter {
  private let geometry: Geometry
  /// The end of the last piece, and its offset in the arena less that in the window.
  private var last: (end: Address, delta: UInt64, access: Protection)?
  /// The mappings so far; the hole behind the last piece is the one that an empty window has too.
  private(set) var count = 0

  init(_ geometry: Geometry) {
    self.geometry = geometry
  }

  /// Adds a translation, without the part of it that lies in `hole`.
  mutating func add(_ mapping: CheckingPmap.Mapping, hole: AddressRange?) {
    let end = mapping.address + geometry.bytes(mapping.frames.count)
    let delta = geometry.bytes(mapping.frames.start - Frame(0)).rawValue &- mapping.address.rawValue
    // The kernel sees only these: what can be executed or written can be read.
    let access: Protection =
      mapping.protection.contains(.write) ? .readWrite : mapping.protection.isEmpty ? [] : .read
    guard let hole, hole.start < end, hole.end > mapping.address else {
      return add(mapping.address, end, delta, access)
    }
    if mapping.address < hole.start { add(mapping.address, hole.start, delta, access) }
    if hole.end < end { add(hole.end, end, delta, access) }
  }

  private mutating func add(
    _ start: Address, _ end: Address, _ delta: UInt64, _ access: Protection
  ) {
    let isBeside = start == last?.end ?? .zero
    if !isBeside {
      count += 2
    } else if last == nil || last!.delta != delta || last!.access != access {
      count += 1
    }
    last = (end, delta, access)
  }
}
