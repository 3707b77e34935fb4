package import HoldfastCore
package import HoldfastReservoir

/// The files of one size, and of one node where a level names one, against what should be ready.
package struct LevelRow: Hashable, Sendable {
  package let size: ByteCount
  package let node: NodeID?
  /// The number of files that should be ready; nil where no level is known for them.
  package let wanted: Int?
  package internal(set) var ready = 0
  package internal(set) var leased = 0
  package internal(set) var filling = 0

  package init(size: ByteCount, node: NodeID? = nil, wanted: Int? = nil) {
    self.size = size
    self.node = node
    self.wanted = wanted
  }

  /// The size, with the node where there is one: `10G@1`.
  package var name: String { ServiceConfiguration.Level.name(size, node) }

  /// The number of files that are missing from the level.
  package var missing: Int { max(0, (wanted ?? 0) - ready) }

  /// The levels in their order, then the files of other sizes and nodes.
  ///
  /// Files of all nodes are ready for a level without a node, as in a fill. Those that are leased or
  /// being filled count at one level only, so that the sums are right: at that of their node, or
  /// else at that of any node. Of a file that is being filled the node is not known, so it counts at
  /// the first level of its size if no level of that size is for any node.
  ///
  /// - Complexity: O(levels x rows)
  package static func all(
    _ levels: [ServiceConfiguration.Level], _ rows: [ReservoirStatus.Row]
  ) -> [LevelRow] {
    var result = levels.map { level in
      var row = LevelRow(size: level.size, node: level.node, wanted: level.count)
      row.ready = level.ready(in: rows)
      return row
    }
    for row in rows {
      func first(_ isSuitable: (LevelRow) -> Bool) -> Int? {
        result[..<levels.count].firstIndex { $0.size == row.size && isSuitable($0) }
      }
      let place =
        first { $0.node == row.node } ?? first { $0.node == nil }
        ?? (row.node == nil && row.ready == 0 && row.leased == 0 ? first { _ in true } : nil)
      if let place {
        result[place].leased += row.leased
        result[place].filling += row.filling
      } else {
        var other = LevelRow(size: row.size, node: row.node)
        (other.ready, other.leased, other.filling) = (row.ready, row.leased, row.filling)
        result.append(other)
      }
    }
    return result
  }
}

/// The memory of a reservoir by what it is used for.
package struct MemoryTotals: Hashable, Sendable {
  package private(set) var ready = ByteCount.zero
  package private(set) var leased = ByteCount.zero
  package private(set) var filling = ByteCount.zero

  /// Adds the files up; a sum that does not fit is the largest number.
  package init(_ rows: [ReservoirStatus.Row]) {
    for row in rows {
      func add(_ count: Int, to sum: inout ByteCount) {
        let (bytes, isTooLarge) = row.size.rawValue.multipliedReportingOverflow(
          by: UInt64(max(0, count)))
        let (total, overflow) = sum.rawValue.addingReportingOverflow(isTooLarge ? .max : bytes)
        sum = ByteCount(overflow ? .max : total)
      }
      add(row.ready, to: &ready)
      add(row.leased, to: &leased)
      add(row.filling, to: &filling)
    }
  }
}
