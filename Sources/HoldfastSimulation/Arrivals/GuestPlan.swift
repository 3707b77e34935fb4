internal import HoldfastCore

/// A guest to arrive. Times are simulated, in seconds since the start.
struct GuestPlan {
  var arrival: Double
  /// After the arrival; after the end for a guest that stays.
  var departure: Double
  var size: ByteCount
  var kind: GuestKind
  /// The seed of the guest's random choices.
  var seed: UInt64
}
