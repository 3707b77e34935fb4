internal import HoldfastCore

/// How far a piece of work is, drawn on the terminal while it lasts. Nothing is drawn in the first
/// half second, nor where standard error is not a terminal. Safe to use from any thread.
final class ProgressBar: Sendable {
  private let title: String
  private let total: ByteCount
  private let start = ContinuousClock.now
  private let columns: Int?

  private let lock = Lock()
  // Protected by `lock`.
  private nonisolated(unsafe) var done = ByteCount.zero
  private nonisolated(unsafe) var lastDrawn: ContinuousClock.Instant?
  private nonisolated(unsafe) var isOver = false

  private static let delay = Duration.milliseconds(500)
  private static let interval = Duration.milliseconds(100)

  init(_ title: String, total: ByteCount) {
    self.title = title
    self.total = total
    columns = StandardStreams.isErrorTerminal ? StandardStreams.errorColumns : nil
  }

  /// Tells how much is done. Threads may come here in another order than they have finished in.
  func update(_ done: ByteCount) {
    guard let columns else { return }
    lock.withLock {
      unsafe self.done = max(self.done, done)
      let now = ContinuousClock.now
      let isDue = unsafe lastDrawn.map { now - $0 >= Self.interval } ?? true
      guard unsafe !isOver, isDue, now - start >= Self.delay else { return }
      unsafe lastDrawn = now
      let line = unsafe ProgressBar.line(
        title, done: self.done, total: total, elapsed: now - start, columns: columns)
      Output.draw("\r" + line + ProgressBar.clearRest)
    }
  }

  /// Wipes the bar. No more is drawn.
  func finish() {
    lock.withLock {
      guard unsafe !isOver else { return }
      unsafe isOver = true
      if unsafe lastDrawn != nil { Output.draw("\r" + ProgressBar.clearRest) }
    }
  }

  /// ECMA-48: erase to the end of the line.
  private static let clearRest = "\u{1B}[K"

  /// `title  [####----]  4.5 GiB of 10 GiB, 5.1 GiB/s, 2 s left`, no wider than the terminal.
  static func line(
    _ title: String, done: ByteCount, total: ByteCount, elapsed: Duration, columns: Int
  ) -> String {
    let part = total == .zero ? 1 : min(1, Double(done.rawValue) / Double(total.rawValue))
    var figures = "\(rounded(done)) of \(rounded(total)), \(rate(done, in: elapsed))"
    if part > 0 {
      let left = elapsed.seconds * (1 - part) / part
      figures += ", \(decimal(left.rounded(.up), places: 0)) s left"
    }
    // The last column stays free: some terminals go to the next line when it is filled.
    let room = columns - 1 - title.count - figures.count - 6
    guard room >= 8 else { return String("\(title)  \(figures)".prefix(max(0, columns - 1))) }
    let width = min(room, 40)
    let filled = Int(part * Double(width))
    let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: width - filled)
    return "\(title)  [\(bar)]  \(figures)"
  }

  private static func rounded(_ bytes: ByteCount) -> String {
    bytes.rawValue < 1 << 30
      ? "\(bytes.rawValue >> 20) MiB"
      : decimal(Double(bytes.rawValue) / 1_073_741_824, places: 1) + " GiB"
  }
}
