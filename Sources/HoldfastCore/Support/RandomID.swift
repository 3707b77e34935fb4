internal import Glibc
internal import Synchronization

/// Numbers that no other call and no other process gets, and that nothing else predicts.
///
/// They come from the key that Swift's hashing drew when the process started. The generator of the
/// standard library asks the kernel for each number, and ends the process where a filter of system
/// calls forbids getrandom(2) and /dev/urandom cannot be opened.
package enum RandomID {
  private static let calls = Atomic<UInt64>(0)

  /// 64 random bits.
  package static func number() -> UInt64 {
    var hasher = Hasher()
    hasher.combine(calls.wrappingAdd(1, ordering: .relaxed).oldValue)
    // For processes whose keys are alike, as SWIFT_DETERMINISTIC_HASHING makes them.
    hasher.combine(getpid())
    hasher.combine(Instant.now.nanosecondsSinceBoot)
    return UInt64(UInt(bitPattern: hasher.finalize()))
  }

  /// 64 random bits in 16 hexadecimal digits.
  package static func text() -> String {
    let digits = String(number(), radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
