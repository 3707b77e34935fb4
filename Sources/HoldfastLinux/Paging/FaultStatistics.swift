/// What a `FaultHandler` has done since it was created.
public struct FaultStatistics: Hashable, Sendable {
  /// Faults read for pages that were not entered.
  public var demandFaults: UInt64 = 0
  /// Faults read for writes to pages that were entered read-only.
  public var copyFaults: UInt64 = 0
  /// Faults that processors served on their own threads; `demandFaults` does not count them.
  public var processorFaults: UInt64 = 0
  /// Faults served with a new page of zeros.
  public var zeroedFaults: UInt64 = 0
  /// Faults served with a copy of a shared page.
  public var copiedFaults: UInt64 = 0
  /// Faults served with a page that a pager read.
  public var pagedFaults: UInt64 = 0
  /// Faults that could not be served; each attempt counts.
  public var failures: UInt64 = 0
  /// The number of threads, which never falls.
  public var threads = 0
}
