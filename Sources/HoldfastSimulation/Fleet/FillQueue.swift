/// The ends of fills, the next one first: a binary heap.
struct FillQueue {
  private var items: [(end: Double, node: Int)] = []

  /// The next end, or nil.
  var first: (end: Double, node: Int)? { items.first }

  private func precedes(_ left: Int, _ right: Int) -> Bool {
    (items[left].end, items[left].node) < (items[right].end, items[right].node)
  }

  /// - Complexity: O(log *n*).
  mutating func insert(_ end: Double, _ node: Int) {
    items.append((end, node))
    var index = items.count - 1
    while index > 0, precedes(index, (index - 1) / 2) {
      items.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  /// Removes the next end, if there is one.
  ///
  /// - Complexity: O(log *n*).
  mutating func removeFirst() {
    guard let last = items.popLast(), !items.isEmpty else { return }
    items[0] = last
    var index = 0
    while true {
      var next = index
      for child in [2 * index + 1, 2 * index + 2] where child < items.count {
        if precedes(child, next) { next = child }
      }
      if next == index { return }
      items.swapAt(index, next)
      index = next
    }
  }
}
