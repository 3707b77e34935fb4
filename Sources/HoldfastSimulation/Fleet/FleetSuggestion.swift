internal import HoldfastCore

/// What hosts would have to keep ready. Each guest takes a file of its size from its host, which
/// then makes another one ready, one after the other. So a level suffices for a guest if it has
/// more files than the host has not made ready again.
struct FleetSuggestion {
  private let sizes: [UInt64]
  private let rate: Double
  /// When each host has made all its files ready.
  private var busyUntil: [Double]
  /// When files will be ready, by host and size, in ascending order.
  private var pending: [[Double]]
  /// For each size, how many guests needed a level of so many files.
  private var needs: [[Int]]

  /// The share of guests that are to find a ready file.
  private static let share = 0.99

  init(hosts: Int, sizes: [UInt64], rate: Double) {
    self.sizes = sizes
    self.rate = rate
    busyUntil = Array(repeating: 0, count: hosts)
    pending = Array(repeating: [], count: hosts * sizes.count)
    needs = Array(repeating: [], count: sizes.count)
  }

  /// A guest arrives at a host. Guests that run at the start are not counted.
  mutating func arrive(at time: Double, host: Int, place: Int) {
    let slot = host * sizes.count + place
    let done = pending[slot].prefix { $0 <= time }.count
    pending[slot].removeFirst(done)
    let need = pending[slot].count
    while needs[place].count <= need { needs[place].append(0) }
    needs[place][need] += 1
    busyUntil[host] = max(busyUntil[host], time) + Double(sizes[place]) / rate
    pending[slot].append(busyUntil[host])
  }

  /// The levels, without sizes of which no guest arrived.
  var levels: [FleetOptions.Level] {
    sizes.indices.compactMap { place in
      let total = needs[place].reduce(0, +)
      guard total > 0 else { return nil }
      var sum = 0
      for (need, count) in needs[place].enumerated() {
        sum += count
        if Double(sum) >= Self.share * Double(total) {
          return FleetOptions.Level(count: need + 1, size: ByteCount(sizes[place]))
        }
      }
      return nil
    }
  }
}
