internal import HoldfastCore

/// A running guest.
final class RunningGuest {
  /// Its number in the plan.
  let number: Int
  let space: AddressSpace
  let range: AddressRange
  var isWired: Bool
  /// Whether it writes in rounds: a paged guest or a fork, not the original of one.
  let writes: Bool
  /// Where it writes next.
  var order: WriteOrder

  init(number: Int, space: AddressSpace, range: AddressRange, isWired: Bool, seed: UInt64) {
    self.number = number
    self.space = space
    self.range = range
    self.isWired = isWired
    writes = !isWired
    var random = RandomSource(seed: seed)
    let pages = space.geometry.pages(in: range.length).rawValue
    order = WriteOrder(pages: max(1, pages), &random)
  }
}
