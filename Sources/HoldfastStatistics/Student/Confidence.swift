/// A two-sided confidence level, in percent.
public struct Confidence: Hashable, Comparable, Sendable {
  /// The levels that can be asked for, in percent.
  public static let range = 80.0...99.9

  /// The level in percent, such as 95.
  public let percent: Double

  /// The probability, in both tails together, that chance alone exceeds the bound.
  public var significanceLevel: Double { (100 - percent) / 100 }

  /// A level of any percentage in ``range``.
  ///
  /// - Throws: ``StatisticsError/confidenceOutOfRange(percent:)``.
  public init(percent: Double) throws(StatisticsError) {
    guard Self.range.contains(percent) else { throw .confidenceOutOfRange(percent: percent) }
    self.percent = percent
  }

  private init(validPercent: Double) {
    percent = validPercent
  }

  // The six levels of ministat(1).

  /// 80 %.
  package static let percent80 = Confidence(validPercent: 80)
  /// 90 %.
  package static let percent90 = Confidence(validPercent: 90)
  /// 95 %: the default.
  public static let percent95 = Confidence(validPercent: 95)
  /// 98 %.
  package static let percent98 = Confidence(validPercent: 98)
  /// 99 %.
  package static let percent99 = Confidence(validPercent: 99)
  /// 99.5 %. Under this name, ministat computes with the quantile of 99.8 %.
  package static let percent99Point5 = Confidence(validPercent: 99.5)

  /// Compares the percentages.
  public static func < (left: Confidence, right: Confidence) -> Bool {
    left.percent < right.percent
  }
}
