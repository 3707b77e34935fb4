internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir
public import Logging

/// A log of one line for each message on standard error. Under systemd each line begins with its
/// priority (sd-daemon(3)), from which the journal knows warnings and errors.
public struct StandardErrorLog: LogHandler {
  /// The metadata that each message gets.
  public var metadata = Logger.Metadata()
  /// The lowest level that is logged.
  public var logLevel: Logger.Level
  private let isJournal = Environment.value("JOURNAL_STREAM") != nil

  /// Creates a log of messages from a level on.
  public init(level: Logger.Level = .info) {
    logLevel = level
  }

  /// The metadata value of a key.
  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  /// Writes a message. Errors of the write are ignored.
  public func log(event: LogEvent) {
    let parts = (event.metadata ?? [:]).merging(metadata) { first, _ in first }
    let rest = parts.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
    // Messages may contain names of files, which other users can have chosen.
    let text = ("\(event.message)" + rest).printable
    let head = isJournal ? "<\(event.level.priority)>" : "holdfast: \(event.level.rawValue): "
    try? TextFile.write(head + text + "\n", to: STDERR_FILENO)
  }
}

extension Logger.Level {
  /// The priority of syslog(3).
  fileprivate var priority: Int {
    switch self {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
  }
}
