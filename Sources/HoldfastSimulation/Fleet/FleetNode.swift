internal import HoldfastCore

/// A NUMA node of a host of a fleet: its memory, and the files of its reservoir.
///
/// Invariant: used + ready + filling + free = capacity.
struct FleetNode {
  /// The bytes that neither guests nor the reservoir have.
  private(set) var free: UInt64
  /// The bytes of ready files.
  private(set) var readyBytes: UInt64 = 0
  /// The number of ready files of each size.
  private(set) var ready: [Int]
  /// The size that is being filled, by its place among the sizes; nil while none is.
  private(set) var filling: Int?
  /// The number of files of each size to keep ready.
  private let target: [Int]
  private let sizes: [UInt64]

  /// - Parameters:
  ///   - sizes: the sizes of files, in ascending order.
  ///   - target: the number of files of each size to keep ready.
  init(capacity: UInt64, sizes: [UInt64], target: [Int]) {
    free = capacity
    self.sizes = sizes
    self.target = target
    ready = Array(repeating: 0, count: sizes.count)
    // The levels are full at the start, as far as there is room, the largest files first.
    for place in sizes.indices.reversed() {
      while ready[place] < target[place], sizes[place] <= free {
        free -= sizes[place]
        readyBytes += sizes[place]
        ready[place] += 1
      }
    }
  }

  /// The smallest ready file that is large enough; nil where none is.
  func readyFile(for size: UInt64) -> Int? {
    sizes.indices.first { sizes[$0] >= size && ready[$0] > 0 }
  }

  /// Whether there is memory for a guest, ready or not.
  func hasRoom(for size: UInt64) -> Bool { free + readyBytes >= size }

  /// A guest gets a ready file; what it does not need of it is free.
  mutating func lease(_ place: Int, _ size: UInt64) {
    ready[place] -= 1
    readyBytes -= sizes[place]
    free += sizes[place] - size
  }

  /// A guest gets memory that is populated for it. Ready files give way where the rest is too
  /// small, the smallest ones first.
  mutating func populate(_ size: UInt64) {
    for place in sizes.indices {
      while free < size, ready[place] > 0 {
        ready[place] -= 1
        readyBytes -= sizes[place]
        free += sizes[place]
      }
    }
    free -= size
  }

  /// A guest leaves.
  mutating func release(_ size: UInt64) { free += size }

  /// Begins to fill the size that lacks the most of its files, if one does for which there is room.
  ///
  /// - Returns: the bytes to populate, or nil.
  mutating func beginFilling() -> UInt64? {
    guard filling == nil else { return nil }
    var best: (place: Int, lack: Double)?
    for place in sizes.indices where ready[place] < target[place] && sizes[place] <= free {
      let lack = Double(target[place] - ready[place]) / Double(target[place])
      if lack >= best?.lack ?? 0 { best = (place, lack) }
    }
    guard let place = best?.place else { return nil }
    filling = place
    free -= sizes[place]
    return sizes[place]
  }

  /// The file that was being filled is ready.
  mutating func endFilling() {
    guard let place = filling else { return }
    filling = nil
    ready[place] += 1
    readyBytes += sizes[place]
  }
}
