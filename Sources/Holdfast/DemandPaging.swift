public import HoldfastCore
public import HoldfastLinux

/// How Holdfast serves a guest's page faults. Without demand paging a guest can access only wired
/// memory.
public struct DemandPaging: Sendable {
  /// How much a fault zeroes or copies at once. Large pages take more memory and far fewer faults.
  /// Copies of single base pages are scattered, and each takes a mapping of the kernel's.
  public var granularity: FaultGranularity
  /// Which threads serve the faults, where there is a choice.
  public var serving: FaultServing
  /// How many threads may serve the faults of one guest at once. Values below 2 count as 2.
  public var threadLimit: Int
  /// Decides what happens to a thread whose fault cannot be served. Called on a handler thread.
  public var onFailure: FaultHandler.FailureHandler

  /// Creates the settings.
  ///
  /// - Parameters:
  ///   - granularity: how much a fault zeroes or copies at once.
  ///   - serving: which threads serve the faults.
  ///   - threadLimit: how many threads may serve the faults of one guest at once.
  ///   - onFailure: decides about faults that cannot be served. By default the faulting thread
  ///     waits; see `FaultHandler.pausedFaults`.
  public init(
    granularity: FaultGranularity = .largePage, serving: FaultServing = .handlerThreads,
    threadLimit: Int = 8,
    onFailure: @escaping FaultHandler.FailureHandler = { _ in .pause }
  ) {
    self.granularity = granularity
    self.serving = serving
    self.threadLimit = threadLimit
    self.onFailure = onFailure
  }
}
