internal import Glibc
internal import HoldfastLinux
public import Logging

/// Lines on standard error, a message each. Under systemd each begins with its priority (sd-daemon(3)),
/// by which the journal knows warnings and errors.
public struct StandardErrorLog: LogHandler {
  public var metadata = Logger.Metadata()
  public var logLevel: Logger.Level
  private let isJournal = Environment.value("JOURNAL_STREAM") != nil

  public init(level: Logger.Level = .info) {
    logLevel = level
  }

  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  public func log(event: LogEvent) {
    let parts = (event.metadata ?? [:]).merging(metadata) { first, _ in first }
    let rest = parts.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
    let text = StandardErrorLog.singleLine("\(event.message)" + rest)
    let head = isJournal ? "<\(event.level.priority)>" : "holdfast: \(event.level.rawValue): "
    // There is nobody to tell that nobody listens.
    try? TextFile.write(head + text + "\n", to: STDERR_FILENO)
  }

  /// Messages may quote names of files, which anybody may have made.
  private static func singleLine(_ text: String) -> String {
    String(
      String.UnicodeScalarView(
        text.unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : $0 }))
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
