internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastService
internal import SystemPackage

/// The view on a terminal: draws it when there is something new, and obeys keys and signals.
///
/// Used by one thread. Another one reads, so that a service that does not answer delays no key.
struct TopScreen {
  let terminal: Terminal
  let sampler: TopSampler
  let interval: Duration
  let hasColors: Bool
  private var state: TopState?
  private var isPaused = false
  private var showsHelp = false

  init(_ terminal: Terminal, _ sampler: TopSampler, interval: Duration, hasColors: Bool) {
    self.terminal = terminal
    self.sampler = sampler
    self.interval = interval
    self.hasColors = hasColors
  }

  /// Runs until a key ends it.
  ///
  /// - Returns: the signal by which the program has to end, or nil.
  mutating func run(_ first: TopState) throws(Errno) -> Int32? {
    state = first
    let reader = try TopReader(sampler)
    defer { reader.stop() }
    try terminal.begin()
    defer { terminal.end() }
    var next = ContinuousClock.now + interval
    var isReading = false
    try draw()
    while true {
      if !isPaused, !isReading, ContinuousClock.now >= next {
        isReading = true
        next = max(next + interval, ContinuousClock.now)
        reader.request()
      }
      var files = PollSet()
      files.add(terminal.signalFile, for: .reading)
      files.add(STDIN_FILENO, for: .reading)
      files.add(reader.done.descriptor, for: .reading)
      let waits = isPaused || isReading
      files.wait(waits ? .seconds(3600) : max(next - ContinuousClock.now, .zero))
      var changed = false
      while let event = terminal.nextEvent() {
        if case .end(let number) = event { return number }
        changed = true
      }
      if files.isReady(1) {
        guard let keys = terminal.keys(), obey(keys) else { return nil }
        changed = true
      }
      if files.isReady(2), let new = reader.take() {
        isReading = false
        // What was read before the pause began is shown after it.
        state = new
        changed = changed || !isPaused
      }
      if changed { try draw() }
    }
  }

  /// Does what keys say; false for the one that ends the view.
  private mutating func obey(_ keys: String) -> Bool {
    for key in Self.plainKeys(keys) {
      switch key {
      case "q", "Q": return false
      case "p", " ": isPaused.toggle()
      case "?", "h": showsHelp.toggle()
      default: break
      }
    }
    return true
  }

  /// The keys without those that are sequences, such as an arrow, which mean nothing here. Several
  /// keys may arrive at once.
  static func plainKeys(_ text: String) -> [Character] {
    var keys: [Character] = []
    var rest = Substring(text)
    while let key = rest.popFirst() {
      guard key == "\u{1B}" else {
        keys.append(key)
        continue
      }
      // ECMA-48: parameters, and a last byte from @ to ~; after O that byte alone.
      switch rest.first {
      case "[":
        rest.removeFirst()
        rest = rest.drop { !("@"..."~").contains($0) }.dropFirst()
      case "O": rest = rest.dropFirst(2)
      default: break
      }
    }
    return keys
  }

  private func draw() throws(Errno) {
    guard let state else { return }
    let (columns, rows) = StandardStreams.size(of: STDOUT_FILENO)
    var view = TopView(state: state, columns: columns, rows: rows)
    view.isPaused = isPaused
    view.hasKeys = true
    let lines = showsHelp ? TopView.help(columns: columns, rows: rows) : view.lines
    try terminal.draw(lines.map { hasColors ? $0.paintedText : $0.text })
  }
}

/// Reads the state on a thread of its own whenever it is asked to.
final class TopReader: Sendable {
  /// Readable when a state has been read.
  let done: Wakeup
  private let wanted: Wakeup
  private let lock = Lock()
  // Protected by `lock`.
  private nonisolated(unsafe) var state: TopState?
  private nonisolated(unsafe) var isStopped = false

  init(_ sampler: TopSampler) throws(Errno) {
    done = try Wakeup()
    wanted = try Wakeup()
    try BackgroundThread("holdfast-top") { [self] in
      while true {
        _ = wanted.wait(.seconds(3600))
        if lock.withLock({ unsafe isStopped }) { return }
        let new = sampler.sample()
        lock.withLock { unsafe state = new }
        done.wake()
      }
    }.detach()
  }

  func request() { wanted.wake() }

  /// Takes the state that was read last.
  func take() -> TopState? {
    done.clear()
    return lock.withLock {
      defer { unsafe state = nil }
      return unsafe state
    }
  }

  /// Ends the thread after the reading that it is busy with.
  func stop() {
    lock.withLock { unsafe isStopped = true }
    wanted.wake()
  }
}
