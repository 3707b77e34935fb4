/// An axis of a picture: what it measures, and which part of it is drawn.
package struct Axis: Hashable, Sendable {
  /// How values become places.
  package enum Kind: Hashable, Sendable {
    /// Equal steps, from 0 unless `low` says otherwise.
    case linear
    /// Equal factors: powers of ten, or of two for bytes. Values that are not positive are drawn
    /// hollow, at the lower end.
    case logarithmic
    /// A place for each name; the value is the index.
    case categories([String])
  }

  /// What is measured, with the unit where the labels have none.
  package var title: String
  /// How the numbers are written.
  package var quantity: Quantity
  /// How values become places.
  package var kind: Kind
  /// The lower end, unless a value is less; nil for a round number.
  package var low: Double?
  /// The upper end, unless a value exceeds it; nil for a round number.
  package var high: Double?
  /// The distance of the labels on a linear axis; nil for round numbers.
  package var step: Double?

  /// An axis.
  package init(
    _ title: String, _ quantity: Quantity = .plain, _ kind: Kind = .linear, low: Double? = nil,
    high: Double? = nil, step: Double? = nil
  ) {
    self.title = title
    self.quantity = quantity
    self.kind = kind
    self.low = low
    self.high = high
    self.step = step
  }

  /// A label of an axis, or a line between labels.
  struct Tick: Hashable {
    var value: Double
    /// Nil for a line without a label.
    var label: String?
  }

  /// The drawn part of an axis.
  struct Range: Hashable {
    var low: Double
    var high: Double
    var isLogarithmic = false
    var ticks: [Tick]
  }

  /// The part of the axis that has all values, with at most some `count` labels.
  ///
  /// - Complexity: O(n) in the number of values.
  func range(of values: [Double], count: Int) -> Range {
    let finite = values.filter(\.isFinite).map { min(max($0, -Axis.limit), Axis.limit) }
    switch kind {
    case .linear: return linear(finite, count: max(2, count))
    case .logarithmic:
      let positive = finite.filter { $0 >= Axis.smallest }
      return quantity.isBinary
        ? binary(positive, count: max(2, count)) : decimal(positive, count: max(2, count))
    case .categories(let names):
      return Range(
        low: -0.5, high: Double(max(1, names.count)) - 0.5,
        ticks: names.enumerated().map { Tick(value: Double($0), label: $1) })
    }
  }

  /// Numbers beyond these are drawn at the ends: differences of larger ones overflow.
  static let limit = 1e300
  static let smallest = 1e-300
}
