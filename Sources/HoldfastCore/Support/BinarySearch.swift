extension RandomAccessCollection where Index == Int {
  /// The index of the first element for which `predicate` is true, or `endIndex` where it is true
  /// of no element. The elements for which it is false all come before those for which it is true.
  ///
  /// - Complexity: O(log count).
  @inlinable
  package func partitioningIndex(where predicate: (Element) -> Bool) -> Int {
    var low = startIndex
    var high = endIndex
    while low < high {
      let middle = (low + high) / 2
      if predicate(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
