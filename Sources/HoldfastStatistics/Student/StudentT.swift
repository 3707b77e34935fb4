#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Student's t distribution: how far the average of a small normal sample strays from the truth,
/// counted in standard errors estimated from that sample.
///
/// Everything is computed from the regularised incomplete beta function
///
///     P(|T| > t) = I(x; ν/2, 1/2),   x = ν / (ν + t²)
///
/// rather than read from a table, so any level and any degrees of freedom have a quantile.
public struct StudentT: Hashable, Sendable {
  /// The degrees of freedom, ν: one or more.
  public let degreesOfFreedom: Int

  /// The distribution with `degreesOfFreedom`.
  ///
  /// - Throws: ``StatisticsError/degreesOfFreedomOutOfRange(_:)`` for zero or fewer.
  public init(degreesOfFreedom: Int) throws(StatisticsError) {
    guard degreesOfFreedom >= 1 else { throw .degreesOfFreedomOutOfRange(degreesOfFreedom) }
    self.init(validDegreesOfFreedom: degreesOfFreedom)
  }

  /// The distribution with degrees of freedom that are known to be one or more.
  init(validDegreesOfFreedom: Int) {
    degreesOfFreedom = validDegreesOfFreedom
  }

  /// The t for which |T| ≤ t has the probability `confidence`, to a relative 1e-10 or better.
  ///
  /// - Complexity: about ten evaluations of ``tailProbability(_:)``.
  public func quantile(_ confidence: Confidence) -> Double {
    let target = confidence.significanceLevel
    // The tail is convex for t > 0, so Newton's steps from 0 never pass the root: they only grow.
    var t = 0.0
    for _ in 0..<200 {
      let step = (tailProbability(t) - target) / (2 * density(t))
      t += step
      if step.magnitude <= 1e-14 * t { break }
    }
    return t
  }

  /// P(|T| > t), both tails together, to an absolute 1e-10; NaN gives NaN.
  ///
  /// - Complexity: O(1) for t up to 4, O(√ν) beyond.
  public func tailProbability(_ t: Double) -> Double {
    let t = t.magnitude
    let ratio = t * t / freedom
    guard ratio.isFinite else { return ratio.isNaN ? ratio : 0 }
    let x = 1 / (1 + ratio)
    let y = ratio / (1 + ratio)
    let a = freedom / 2
    let b = 0.5
    // x^a y^b / B(a, b); log1p holds on to what 1 + ratio would round away where ν is large.
    let front = exp(-a * log1p(ratio)) * y.squareRoot() * gammaRatio(a) / Double.pi.squareRoot()
    // Where ν is large, x is next to 1 and has lost the digits of t, but y has all of them. The
    // complement of a small tail would lose digits as well.
    if y <= 0.5, t <= 4 {
      return 1 - front / b * betaSeries(a, b, y)
    }
    return front / a / betaContinuedFraction(a, b, x)
  }

  /// The probability density at `t`.
  public func density(_ t: Double) -> Double {
    let scale = gammaRatio(freedom / 2) / (freedom * Double.pi).squareRoot()
    return scale * exp(-(freedom + 1) / 2 * log1p(t * t / freedom))
  }

  /// The degrees of freedom computed with. From 1e11 on the quantiles of ``Confidence/range`` do
  /// not change by a relative 1e-10 any more, while the work would.
  private var freedom: Double { min(Double(degreesOfFreedom), 1e11) }
}
