extension Duration {
  /// A number of seconds from a file or another program, which may be anything: one beyond 10^12 is
  /// that, and one that is no number is 0.
  package static func bounded(seconds: Double) -> Duration {
    seconds.isNaN ? .zero : Duration.seconds(Swift.min(Swift.max(seconds, -1e12), 1e12))
  }

  /// The duration, or 10^12 seconds, 30,000 years, where it is longer in either direction. A caller
  /// may pass one that is too long to be added to a time.
  package var bounded: Duration {
    Swift.min(Swift.max(self, .seconds(-1_000_000_000_000)), .seconds(1_000_000_000_000))
  }

  /// The duration as a number of seconds.
  package var seconds: Double {
    let (seconds, attoseconds) = bounded.components
    return Double(seconds) + Double(attoseconds) / 1e18
  }

  /// The duration as a number of whole nanoseconds, rounded down: 0 for a negative one, and 2^64 -
  /// 1 for one that is longer (584 years).
  package var nanoseconds: UInt64 {
    let (seconds, attoseconds) = max(bounded, .zero).components
    let (whole, isTooLong) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, overflow) = whole.addingReportingOverflow(UInt64(attoseconds / 1_000_000_000))
    return isTooLong || overflow ? .max : sum
  }
}
