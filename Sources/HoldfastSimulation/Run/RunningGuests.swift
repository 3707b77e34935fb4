internal import HoldfastCore

/// The running guests by size, so that a fork finds one of its size at once.
struct RunningGuests {
  private(set) var all: [Int: RunningGuest] = [:]
  private var bySize: [ByteCount: [Int]] = [:]
  /// A guest's index among those of its size.
  private var places: [Int: Int] = [:]

  mutating func insert(_ guest: RunningGuest) {
    all[guest.number] = guest
    places[guest.number] = bySize[guest.range.length]?.count ?? 0
    bySize[guest.range.length, default: []].append(guest.number)
  }

  mutating func remove(_ number: Int) -> RunningGuest? {
    guard let guest = all.removeValue(forKey: number),
      let place = places.removeValue(forKey: number)
    else { return nil }
    var numbers = bySize.removeValue(forKey: guest.range.length) ?? []
    let last = numbers.removeLast()
    if last != number {
      numbers[place] = last
      places[last] = place
    }
    bySize[guest.range.length] = numbers
    return guest
  }

  /// A random guest of a size.
  func any(of size: ByteCount, _ random: inout RandomSource) -> RunningGuest? {
    guard let numbers = bySize[size], !numbers.isEmpty else { return nil }
    return all[numbers[Int(random.below(UInt64(numbers.count)))]]
  }
}
