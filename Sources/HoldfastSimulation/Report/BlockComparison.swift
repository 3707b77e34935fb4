/// What it costs that wires take blocks of the largest size: two runs with the same guests, one
/// whose allocator gives them out, and one whose allocator gives a wire no more than a superpage of
/// level 1 at a time.
package struct BlockComparison: Sendable {
  /// What the blocks changed for some of the guests.
  package struct Effect: Hashable, Sendable, Encodable {
    /// The guests.
    package fileprivate(set) var guests = 0
    /// Those that were refused only with the blocks.
    package fileprivate(set) var refusedWith = 0
    /// Those that were refused only without them.
    package fileprivate(set) var refusedWithout = 0
    /// Those that got more base pages, or fewer superpages set aside, with the blocks.
    package fileprivate(set) var worse = 0
    /// Those that got fewer base pages, or more superpages set aside, with the blocks.
    package fileprivate(set) var better = 0

    fileprivate mutating func add(_ with: GuestOutcome, _ without: GuestOutcome) {
      guests += 1
      if with.isRefused || without.isRefused {
        if !without.isRefused { refusedWith += 1 }
        if !with.isRefused { refusedWithout += 1 }
        return
      }
      if with.isWorse(than: without) { worse += 1 }
      if without.isWorse(than: with) { better += 1 }
    }
  }

  /// The guests that can use the blocks.
  package private(set) var capable = Effect()
  /// All others: smaller guests, those that are paged, and forks.
  package private(set) var others = Effect()
  /// The run without the blocks.
  package let without: Simulation.Result

  /// Compares two runs that recorded the outcomes of the same guests.
  ///
  /// - Complexity: O(guests).
  package init(with: Simulation.Result, without: Simulation.Result) {
    self.without = without
    precondition(
      with.outcomes.count == without.outcomes.count, "the runs do not have the same guests")
    for (one, other) in zip(with.outcomes, without.outcomes) {
      if one.isCapable || other.isCapable {
        capable.add(one, other)
      } else {
        others.add(one, other)
      }
    }
  }
}
