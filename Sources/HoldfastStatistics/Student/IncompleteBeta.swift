#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Γ(a + 1/2) / Γ(a) for a > 0, to a few units in the last place.
///
/// Subtracting two logarithms of the gamma function would lose a digit for every digit of `a`;
/// the asymptotic series of the ratio loses none.
func gammaRatio(_ a: Double) -> Double {
  // The series needs a large argument: step up to one by Γ(z + 1) = z Γ(z).
  var argument = a
  var correction = 1.0
  while argument < 16 {
    correction *= argument / (argument + 0.5)
    argument += 1
  }
  let w = 1 / (argument * argument)
  let series =
    (-1 / 8.0 + w * (1 / 192.0 + w * (-1 / 640.0 + w * (17 / 14336.0 - w * 31 / 18432.0))))
    / argument
  return argument.squareRoot() * exp(series) * correction
}

/// The power series s of the incomplete beta function, for
///
///     I(y; b, a) = y^b (1 - y)^a / (b B(a, b)) s
///
/// with y up to 1/2. All terms are positive: nothing cancels.
///
/// - Complexity: O(a y), and O(1) where that is small.
func betaSeries(_ a: Double, _ b: Double, _ y: Double) -> Double {
  var term = 1.0
  var sum = 1.0
  var n = 0.0
  while term > 1e-17 * sum {
    term *= (a + b + n) / (b + 1 + n) * y
    sum += term
    n += 1
  }
  return sum
}

/// The continued fraction d of the incomplete beta function, for
///
///     I(x; a, b) = x^a (1 - x)^b / (a B(a, b) d)
///
/// with x below the mean a / (a + b), by the modified Lentz method.
///
/// - Complexity: O(√max(a, b)).
func betaContinuedFraction(_ a: Double, _ b: Double, _ x: Double) -> Double {
  // A denominator of zero is nudged off; the next step of the method makes up for it.
  func nudged(_ value: Double) -> Double { value.magnitude < 1e-300 ? 1e-300 : value }

  var fraction = 1.0
  var c = 1.0
  var d = 0.0
  for index in 1...2_000_000 {
    let m = Double(index / 2)
    // Numerators alternate between an even and an odd form; each joins over a partial 1 + ….
    let numerator =
      index.isMultiple(of: 2)
      ? m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
      : -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    d = 1 / nudged(1 + numerator * d)
    c = nudged(1 + numerator / c)
    let factor = c * d
    fraction *= factor
    if (factor - 1).magnitude < 1e-16 { break }
  }
  return fraction
}
