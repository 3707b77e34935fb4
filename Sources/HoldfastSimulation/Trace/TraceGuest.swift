package import HoldfastCore

/// A guest of a trace in the format of the Azure Public Dataset V2's `vmtable.csv`, with the
/// columns that a simulation needs.
package struct TraceGuest: Hashable, Sendable {
  /// When the guest was created, in seconds since the trace began.
  package let created: UInt64
  /// When the guest was deleted, in seconds since the trace began.
  package let deleted: UInt64
  /// The guest's memory.
  package let memory: ByteCount

  /// A guest.
  package init(created: UInt64, deleted: UInt64, memory: ByteCount) {
    self.created = created
    self.deleted = deleted
    self.memory = memory
  }

  /// The sampling interval of the trace in seconds. A guest that is in one sample only, so that it
  /// was created and deleted at the same time, counts as running for so long, as in the dataset's
  /// own analysis.
  static let interval: UInt64 = 300

  /// The guest's lifetime in seconds.
  var lifetime: UInt64 { deleted > created ? deleted - created : TraceGuest.interval }
}
