internal import Glibc

/// A random number generator that yields the same numbers for the same seed on every host and with
/// every version of Swift: SplitMix64, with its own distributions, because those of the standard
/// library may change.
struct RandomSource {
  private var state: UInt64

  /// A generator with a seed.
  init(seed: UInt64) {
    state = seed
  }

  /// Uniformly distributed over all 64-bit numbers.
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// Uniform in 0..<1.
  mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// Uniform in 0..<bound, which is not 0.
  mutating func below(_ bound: UInt64) -> UInt64 { next().multipliedFullWidth(by: bound).high }

  /// True with a probability.
  mutating func happens(_ probability: Double) -> Bool { unit() < probability }

  /// Exponentially distributed, as the gaps between independent events at a steady rate.
  mutating func exponential(mean: Double) -> Double { -mean * log(1 - unit()) }

  /// Geometrically distributed, 1 or more.
  mutating func geometric(mean: Double) -> Int {
    guard mean > 1 else { return 1 }
    return 1 + Int(log(1 - unit()) / log(1 - 1 / mean))
  }
}
