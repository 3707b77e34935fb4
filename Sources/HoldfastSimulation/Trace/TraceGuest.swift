public import HoldfastCore

/// A guest of a trace in the form of the Azure Public Dataset V2's `vmtable.csv`: what of its line a
/// simulation needs.
public struct TraceGuest: Hashable, Sendable {
  /// Seconds since the trace began.
  public let created: UInt64
  public let deleted: UInt64
  public let memory: ByteCount

  public init(created: UInt64, deleted: UInt64, memory: ByteCount) {
    self.created = created
    self.deleted = deleted
    self.memory = memory
  }

  /// The time between two looks at the guests of the trace, in seconds: one that was gone at the
  /// next was there for so long (as in the dataset's own analysis).
  static let interval: UInt64 = 300

  /// How long the guest runs, in seconds.
  var lifetime: UInt64 { max(deleted - created, TraceGuest.interval) }
}

/// The columns of `vmtable.csv`, which has no header line.
public enum TraceColumn: Int, CaseIterable, Sendable {
  case vmid, subscriptionid, deploymentid, vmcreated, vmdeleted, maxcpu, avgcpu, p95maxcpu
  case vmcategory, vmcorecountbucket, vmmemorybucket
}

/// What is wrong with a trace: the file, the line from 1 on, the column and why.
public struct TraceError: Error, Hashable, CustomStringConvertible, Sendable {
  public let file: String
  public let line: Int
  /// Nil where it is the line as a whole.
  public let column: TraceColumn?
  public let reason: String

  public var description: String {
    let place = column.map { "column \($0.rawValue + 1) (\($0)): " } ?? ""
    return "\(file): line \(line): \(place)\(reason)"
  }
}
