/// The order in which a guest writes to its pages: a few contiguous ones at each of many places, all
/// over its memory, and no page again before all others.
struct WriteOrder {
  /// The contiguous pages at a place.
  static let placePages: UInt64 = 8

  private let pages: UInt64
  private let places: UInt64
  private let first: UInt64
  /// Has no divisor in common with `places`, so that every place comes once.
  private let step: UInt64
  /// How many places are done, and how many pages of the next one.
  private var done: UInt64 = 0
  private var within: UInt64 = 0

  /// An order of so many pages, at least one.
  init(pages: UInt64, _ random: inout RandomSource) {
    self.pages = pages
    places = (pages + Self.placePages - 1) / Self.placePages
    first = random.below(places)
    var step = 1 + random.below(places)
    while Self.divisor(step, places) != 1 { step += 1 }
    self.step = step
  }

  /// The next contiguous pages, at most `limit`, which is not 0.
  mutating func next(atMost limit: UInt64) -> Range<UInt64> {
    let place = (first + done.multipliedReportingOverflow(by: step).partialValue % places) % places
    let start = place * Self.placePages + within
    let end = min((place + 1) * Self.placePages, pages)
    let count = min(limit, end - start)
    within += count
    if start + count == end {
      within = 0
      done = (done + 1) % places
    }
    return start..<start + count
  }

  private static func divisor(_ one: UInt64, _ other: UInt64) -> UInt64 {
    var (one, other) = (one, other)
    while other != 0 { (one, other) = (other, one % other) }
    return one
  }
}
