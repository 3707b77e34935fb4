/// A picture that lays itself out for a width.
package protocol Picture: Sendable {
  /// What the picture shows, in one line, for readers that do not see it.
  var title: String { get }

  /// The picture as an SVG document of a width in CSS pixels: from 200 on, such as 960 for a desk
  /// and 360 for a telephone.
  func svg(width: Double) -> String
}
