/// What memory a guest got, so that the guests of two runs can be compared one by one.
package struct GuestOutcome: Hashable, Sendable {
  /// Whether it was wired, or was to be, and has at least one whole page of the largest size.
  package var isCapable = false
  /// Whether it was refused for lack of memory.
  package var isRefused = false
  /// The base pages of its wires: memory that is not in superpages.
  package var basePages: UInt64 = 0
  /// The superpages that were set aside for its base pages.
  package var reserved = 0

  /// Nothing yet.
  init() {}

  /// Whether the guest got its memory in smaller pages than in another run.
  func isWorse(than other: GuestOutcome) -> Bool {
    basePages == other.basePages ? reserved < other.reserved : basePages > other.basePages
  }
}
