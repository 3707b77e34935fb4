/// Distances across an axis that keep dots at equal values apart: the same for the same places.
enum Swarm {
  /// For each place along the axis, a distance across it of at most `space`, so that dots with a
  /// diameter hide each other no more than they must.
  ///
  /// - Complexity: O(n k), where at most k of n dots are within a diameter of each other.
  static func offsets(_ places: [Double], diameter: Double, space: Double) -> [Double] {
    var result = [Double](repeating: 0, count: places.count)
    let order = places.indices.sorted { (places[$0], $0) < (places[$1], $1) }
    let lanes = max(1, Int(2 * space / diameter) | 1)
    // The end of the last dot in each lane; the middle lane first, then outward on both sides.
    var ends = [Double](repeating: -Double.infinity, count: lanes)
    for index in order {
      let place = places[index]
      // Where all lanes are taken, the lane with the oldest dot hides the least.
      let lane =
        ends.firstIndex { place - $0 >= diameter }
        ?? ends.indices.min { ends[$0] < ends[$1] } ?? 0
      ends[lane] = place
      let step = Double((lane + 1) / 2) * diameter
      result[index] = lane % 2 == 0 ? step : -step
    }
    return result
  }
}
