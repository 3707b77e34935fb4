package import HoldfastCore

/// How much memory is allocated over time: the exact peak, and the mean weighted by time. It changes
/// only at events.
package struct UsedMemory: Hashable, Sendable {
  /// The largest amount at any moment.
  package private(set) var peak = ByteCount.zero
  private var current = ByteCount.zero
  private var time = 0.0
  /// In bytes and seconds.
  private var integral = 0.0

  /// Nothing, from time 0 on.
  init() {}

  /// Lets the amount stay until a time, which is not earlier than that of the call before.
  mutating func stay(until next: Double) {
    integral += Double(current.rawValue) * (next - time)
    time = next
  }

  /// Sets the amount from the current time on.
  mutating func set(_ amount: ByteCount) {
    current = amount
    peak = max(peak, amount)
  }

  /// The mean from time 0 to the time of the last call of `stay`.
  package var mean: ByteCount {
    time > 0 ? ByteCount(UInt64((integral / time).rounded())) : current
  }
}
