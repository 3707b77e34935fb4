internal import HoldfastCore

/// A running guest.
final class RunningGuest {
  /// Its number in the plan.
  let number: Int
  let space: AddressSpace
  let range: AddressRange
  var isWired: Bool
  /// Makes the guest's random choices.
  var random: RandomSource

  init(number: Int, space: AddressSpace, range: AddressRange, isWired: Bool, seed: UInt64) {
    self.number = number
    self.space = space
    self.range = range
    self.isWired = isWired
    random = RandomSource(seed: seed)
  }
}
