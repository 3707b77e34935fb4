package import HoldfastReservoir

/// What the metrics of a service say at one moment.
///
/// It is read from their text, so that a view shows what every collector gets, from any service
/// whose metrics can be read.
package struct ServiceReading: Hashable, Sendable {
  /// A sum that only grows while the service runs.
  package enum Counter: String, CaseIterable, Sendable {
    case filledBytes = "filled_bytes_total"
    case leasedBytes = "leased_bytes_total"
    case recycledBytes = "recycled_bytes_total"
    case released = "released_total"
    case releasedBytes = "released_bytes_total"
    case removed = "removed_total"
    case collectedBytes = "collected_bytes_total"
    case invalidMessages = "invalid_messages_total"
  }

  /// Operations of which the service counts the durations.
  package enum Timed: String, CaseIterable, Sendable {
    case lease = "lease_seconds"
    case leaseWait = "lease_wait_seconds"
    case fill = "fill_seconds"
    case recycle = "recycle_seconds"
    case collect = "collect_seconds"
  }

  /// A histogram of durations.
  package struct Durations: Hashable, Sendable {
    /// The upper bounds of the buckets in seconds, ascending; a last bucket has none.
    package var bounds: [Double] = []
    /// The number of durations of at most each bound.
    package var counts: [UInt64] = []
    /// The number of all durations.
    package var count: UInt64 = 0
    /// Their sum in seconds.
    package var sum = 0.0

    package init() {}

    /// The bound that a part of the durations does not exceed; infinite where that part includes
    /// some beyond the last bound, and nil without durations.
    ///
    /// - Complexity: O(bounds)
    package func bound(ofPart part: Double) -> Double? {
      guard count > 0 else { return nil }
      let needed = (part * Double(count)).rounded(.up)
      return zip(bounds, counts).first { Double($1) >= needed }?.0 ?? .infinity
    }
  }

  /// The label values of a count of failures.
  package struct Failure: Hashable, Comparable, Sendable {
    package var operation: String
    package var code: String

    package init(operation: String, code: String) {
      self.operation = operation
      self.code = code
    }

    package static func < (left: Failure, right: Failure) -> Bool {
      (left.operation, left.code) < (right.operation, right.code)
    }
  }

  /// When the service started, in seconds since 1970.
  package var started: Double?
  /// Whether the service could read the status of its reservoir.
  package var isUp = false
  /// Whether the service is healthy; nil where an earlier version does not say.
  package var isHealthy: Bool?
  /// Whether other processes report to this service.
  package var isListening = false
  /// The files by size and node.
  package var rows: [ReservoirStatus.Row] = []
  /// The free huge pages of the host's pool; nil on tmpfs.
  package var freePages: UInt64?
  /// What should be ready.
  package var levels: [ServiceConfiguration.Level] = []
  package var counters: [Counter: UInt64] = [:]
  package var durations: [Timed: Durations] = [:]
  package var failures: [Failure: UInt64] = [:]

  package init() {}
}
