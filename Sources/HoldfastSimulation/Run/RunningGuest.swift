internal import HoldfastCore

/// A guest that is there.
final class RunningGuest {
  /// Its number in the plan.
  let number: Int
  let space: AddressSpace
  let range: AddressRange
  var isWired: Bool
  /// For what it does by chance.
  var random: RandomSource

  init(number: Int, space: AddressSpace, range: AddressRange, isWired: Bool, seed: UInt64) {
    self.number = number
    self.space = space
    self.range = range
    self.isWired = isWired
    random = RandomSource(seed: seed)
  }
}

/// The guests that are there by size, so that a fork finds one of its own size at once.
struct RunningGuests {
  private(set) var all: [Int: RunningGuest] = [:]
  private var bySize: [ByteCount: [Int]] = [:]
  /// Where a guest stands among those of its size.
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

  /// One of the guests of a size, by chance.
  func any(of size: ByteCount, _ random: inout RandomSource) -> RunningGuest? {
    guard let numbers = bySize[size], !numbers.isEmpty else { return nil }
    return all[numbers[Int(random.below(UInt64(numbers.count)))]]
  }
}
