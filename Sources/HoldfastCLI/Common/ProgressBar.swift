internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// A progress bar on the terminal while work lasts. Nothing is drawn in the first half second, or
/// if standard error is not a terminal. A thread draws, so that work without known progress still
/// shows the elapsed time. Safe to use from any thread.
final class ProgressBar: Sendable {
  /// The progress of a piece of work.
  enum State: Equatable {
    case unknown
    case bytes(done: ByteCount, total: ByteCount)
    /// The number of steps before this one, and its name.
    case steps(done: Int, total: Int, name: String)
  }

  private let columns: Int?

  private let lock = Lock()
  // Protected by `lock`.
  private nonisolated(unsafe) var title = ""
  private nonisolated(unsafe) var state = State.unknown
  private nonisolated(unsafe) var beginning = Instant.now
  private nonisolated(unsafe) var isDrawn = false
  private nonisolated(unsafe) var isOver = false

  /// Announced when the thread is ready, and when the work ends.
  private let change = Event()
  private nonisolated(unsafe) var isReady = false

  private static let delay = Duration.milliseconds(500)
  private static let interval = Duration.milliseconds(200)

  init() {
    columns = StandardStreams.isErrorTerminal ? StandardStreams.errorColumns : nil
  }

  /// Begins drawing. Called once.
  func start() {
    guard columns != nil else { return }
    // The thread allocates its stack and heap before the work begins: mmap(2) blocks while the
    // kernel populates memory of this process.
    let thread = try? BackgroundThread("holdfast-bar") { [self] in
      _ = Self.line("", .unknown, elapsed: .zero, columns: 80)
      lock.withLock { unsafe isReady = true }
      change.announce()
      var pause = Self.delay
      while true {
        let ticket = change.ticket()
        if lock.withLock({ unsafe isOver }) || change.wait(since: ticket, atMost: pause) { return }
        draw()
        pause = Self.interval
      }
    }
    guard let thread else { return }
    thread.detach()
    while true {
      let ticket = change.ticket()
      if lock.withLock({ unsafe isReady }) { return }
      change.wait(since: ticket)
    }
  }

  /// Begins the next piece of the work.
  func begin(_ title: String, _ state: State = .unknown) {
    lock.withLock {
      unsafe self.title = title
      unsafe self.state = state
      unsafe beginning = .now
    }
  }

  /// Sets the progress. Threads may report in another order than they finished in.
  func update(_ state: State) {
    lock.withLock {
      if case .bytes(let done, _) = state, case .bytes(let before, _) = unsafe self.state,
        done < before
      {
        return
      }
      unsafe self.state = state
    }
  }

  /// Ends the work: erases the bar and draws no more.
  func finish() {
    lock.withLock {
      unsafe isOver = true
      if unsafe isDrawn { Output.draw("\r" + ProgressBar.clearRest) }
      unsafe isDrawn = false
    }
    change.announce()
  }

  private func draw() {
    lock.withLock {
      guard let columns, unsafe !isOver, unsafe !title.isEmpty else { return }
      unsafe isDrawn = true
      let line = unsafe ProgressBar.line(
        title, state, elapsed: Instant.now - beginning, columns: columns)
      Output.draw("\r" + line + ProgressBar.clearRest)
    }
  }

  /// ECMA-48: erase to the end of the line.
  private static let clearRest = "\u{1B}[K"

  /// `title  [####----]  4.5 GiB of 10 GiB, 5.1 GiB/s, 2 s left`, no wider than the terminal.
  static func line(_ title: String, _ state: State, elapsed: Duration, columns: Int) -> String {
    let part: Double
    let figures: String
    switch state {
    case .unknown:
      let text = "\(title)  \(decimal(elapsed.seconds, places: 1)) s"
      return String(text.prefix(max(0, columns - 1)))
    case .bytes(let done, let total):
      part = total == .zero ? 1 : min(1, Double(done.rawValue) / Double(total.rawValue))
      let speed = "\(rounded(done)) of \(rounded(total)), \(rate(done, in: elapsed))"
      figures = speed + (timeLeft(part, elapsed).map { ", " + $0 } ?? "")
    case .steps(let done, let total, let name):
      part = total == 0 ? 1 : min(1, Double(done) / Double(total))
      // The name comes last; spaces after it keep the bar's width from one step to the next.
      figures = (timeLeft(part, elapsed).map { $0 + ", " } ?? "") + name
    }
    // The last column stays free: some terminals wrap when it is filled.
    let room = columns - 1 - title.count - figures.count - 6
    guard room >= 8 else { return String("\(title)  \(figures)".prefix(max(0, columns - 1))) }
    let width = min(room, 40)
    let filled = Int(part * Double(width))
    let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: width - filled)
    return "\(title)  [\(bar)]  \(figures)"
  }

  private static func timeLeft(_ part: Double, _ elapsed: Duration) -> String? {
    guard part > 0 else { return nil }
    return decimal((elapsed.seconds * (1 - part) / part).rounded(.up), places: 0) + " s left"
  }

  private static func rounded(_ bytes: ByteCount) -> String {
    bytes.rawValue < 1 << 30
      ? "\(bytes.rawValue >> 20) MiB"
      : decimal(Double(bytes.rawValue) / 1_073_741_824, places: 1) + " GiB"
  }
}
