/// A number that a picture or a page shows, and where its source is.
package struct Datum: Hashable, Sendable {
  /// The number, in the unit of its source.
  package var value: Double
  /// The path of the number in the JSON document that it is from, such as `ways.3.seconds.0`.
  package var key: String?

  /// A number.
  package init(_ value: Double, key: String? = nil) {
    self.value = value
    self.key = key
  }

  /// The attributes by which `Scripts/report/check` compares what is drawn with the JSON document.
  /// A Double's description is exact.
  var attributes: [Markup.Attribute] {
    [("data-key", key), ("data-value", value.isFinite ? "\(value)" : nil)]
  }
}
