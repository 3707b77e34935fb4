/// Distances across an axis that keep dots at equal values apart: the same for the same places.
enum Swarm {
  /// For each place along the axis, the number of a lane: dots in one lane are a diameter apart.
  /// Lane 0 is in the middle, and the others are on both sides in turn.
  ///
  /// - Complexity: O(n k), where at most k of n dots are within a diameter of each other.
  static func lanes(_ places: [Double], diameter: Double) -> [Int] {
    var result = [Int](repeating: 0, count: places.count)
    var ends: [Double] = []
    for index in places.indices.sorted(by: { (places[$0], $0) < (places[$1], $1) }) {
      let place = places[index]
      let lane = ends.firstIndex { place - $0 >= diameter } ?? ends.count
      if lane == ends.count { ends.append(place) } else { ends[lane] = place }
      result[index] = lane
    }
    return result
  }

  /// The distance of each dot from the middle, at most `space`: dots cover each other in part where
  /// the lanes need more.
  static func offsets(_ places: [Double], diameter: Double, space: Double) -> [Double] {
    let lanes = self.lanes(places, diameter: diameter)
    let outermost = ((lanes.max() ?? 0) + 1) / 2
    let step = outermost == 0 ? 0 : min(diameter, max(0, space) / Double(outermost))
    return lanes.map { lane in
      let distance = Double((lane + 1) / 2) * step
      return lane % 2 == 0 ? distance : -distance
    }
  }
}
