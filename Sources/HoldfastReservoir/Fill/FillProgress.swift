public import HoldfastCore

/// The progress of a fill. Both counts are zero while it waits for another fill.
public struct FillProgress: Hashable, Sendable {
  /// The bytes that this fill has populated.
  public var done: ByteCount
  /// The bytes that this fill populates in total.
  public var total: ByteCount
}
