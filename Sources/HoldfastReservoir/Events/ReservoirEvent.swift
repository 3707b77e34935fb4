public import HoldfastCore

/// The outcome of one operation on a reservoir, for statistics.
public struct ReservoirEvent: Hashable, Sendable {
  /// A kind of operation.
  public enum Operation: String, Hashable, Sendable, CaseIterable {
    /// A file became ready.
    case fill
    /// Memory was leased.
    case lease
    /// A lease's memory was scrubbed and became ready again.
    case recycle
    /// A lease's memory was returned to the host.
    case release
  }

  /// The kind of operation.
  public var operation: Operation
  /// The code of the error, or nil where the operation succeeded.
  public var failure: HoldfastError.Code?
  /// The size of the file; zero for a failure.
  public var size: ByteCount
  /// The duration of the operation, without waits.
  public var duration: Duration
  /// How long a lease waited for memory to become ready, or for other processes.
  public var waited: Duration

  /// Creates an event; the parameters are the properties.
  public init(
    _ operation: Operation, failure: HoldfastError.Code? = nil, size: ByteCount = .zero,
    duration: Duration = .zero, waited: Duration = .zero
  ) {
    self.operation = operation
    self.failure = failure
    self.size = size
    self.duration = duration
    self.waited = waited
  }
}

/// An event as a message: lines of key and value, as in sd_notify(3).
extension ReservoirEvent {
  private static let version = "1"

  /// The message.
  package var message: String {
    var lines = [
      "HOLDFAST=\(Self.version)", "OPERATION=\(operation.rawValue)", "BYTES=\(size.rawValue)",
      "NANOSECONDS=\(Self.nanoseconds(duration))", "WAITED=\(Self.nanoseconds(waited))",
    ]
    if let failure { lines.append("FAILURE=\(failure.rawValue)") }
    return lines.joined(separator: "\n")
  }

  /// Reads a message; nil where it is not an event of this version. Every user who may lease can
  /// send one, so its contents are only as reliable as these users.
  package init?(message: String) {
    var values: [Substring: Substring] = [:]
    for line in message.split(separator: "\n", omittingEmptySubsequences: false) {
      guard let equals = line.firstIndex(of: "="),
        values.updateValue(line[line.index(after: equals)...], forKey: line[..<equals]) == nil
      else { return nil }
    }
    // Later versions may add keys.
    guard values["HOLDFAST"]?.elementsEqual(Self.version) == true,
      let operation = values["OPERATION"].flatMap({ Operation(rawValue: String($0)) }),
      let size = Self.number(values["BYTES"]),
      let duration = Self.number(values["NANOSECONDS"]), let waited = Self.number(values["WAITED"])
    else { return nil }
    var failure: HoldfastError.Code?
    if let text = values["FAILURE"] {
      failure = HoldfastError.Code(rawValue: String(text))
      if failure == nil { return nil }
    }
    self.init(
      operation, failure: failure, size: ByteCount(size), duration: .nanoseconds(Int64(duration)),
      waited: .nanoseconds(Int64(waited)))
  }

  /// The largest number that is accepted: no operation takes thirty years, no host has an exbibyte.
  private static let largest: UInt64 = 1_000_000_000_000_000_000

  private static func number(_ text: Substring?) -> UInt64? {
    guard let text, let number = UInt64(digits: text), number <= largest else { return nil }
    return number
  }

  private static func nanoseconds(_ duration: Duration) -> UInt64 {
    min(duration.nanoseconds, 1_000_000_000_000_000_000)
  }
}
