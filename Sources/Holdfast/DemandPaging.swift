public import HoldfastCore
public import HoldfastLinux

/// How the faults of a guest are answered that touches what is not there: without it a guest reaches only
/// what is wired.
public struct DemandPaging: Sendable {
  /// How much a fault zeroes or copies at once. Large pages cost more memory and far fewer faults; copies
  /// of base pages lie scattered, each a mapping of its own.
  public var granularity: FaultGranularity
  /// How many threads may answer the faults of one guest at once, at least 2.
  public var threadLimit: Int
  /// Decides about faults that cannot be served.
  public var onFailure: FaultHandler.FailureHandler

  /// - Parameter onFailure: by default whoever touched is paused, see `FaultHandler.pausedFaults`.
  public init(
    granularity: FaultGranularity = .largePage, threadLimit: Int = 8,
    onFailure: @escaping FaultHandler.FailureHandler = { _ in .pause }
  ) {
    self.granularity = granularity
    self.threadLimit = threadLimit
    self.onFailure = onFailure
  }
}
