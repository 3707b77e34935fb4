internal import CHoldfastLinux
internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import Synchronization

/// The manager that has started the service, as systemd does: it is told the service's state by datagrams
/// to the socket that NOTIFY_SOCKET names (sd_notify(3)). Without one nothing is told.
final class Manager: Sendable {
  private let address: String?
  /// What may pass between two signs of life.
  let watchdog: Duration?
  /// When the last one was given, in nanoseconds.
  private let last = Atomic<UInt64>(0)

  init() {
    address = Environment.value("NOTIFY_SOCKET").flatMap { $0.isEmpty ? nil : $0 }
    let microseconds = Environment.value("WATCHDOG_USEC").flatMap { UInt64($0) }
    let process = Environment.value("WATCHDOG_PID").flatMap { Int32($0) }
    watchdog =
      process == nil || process == getpid()
      ? microseconds.flatMap { $0 > 0 ? .microseconds(Int64(min($0, 1 << 50))) : nil } : nil
  }

  func ready(_ status: String) { send("READY=1\nSTATUS=\(line(status))") }

  func reloading() { send("RELOADING=1\nMONOTONIC_USEC=\(Clock.monotonic / 1000)") }

  func stopping() { send("STOPPING=1\nSTATUS=stopping") }

  func status(_ text: String) { send("STATUS=\(line(text))") }

  /// A sign of life, given as often as it is needed, however often this is called.
  func beat() {
    guard let watchdog else { return }
    let now = Clock.monotonic
    let before = last.load(ordering: .relaxed)
    guard now - min(before, now) >= Clock.nanoseconds(watchdog) / 4,
      last.compareExchange(expected: before, desired: now, ordering: .relaxed).exchanged
    else { return }
    send("WATCHDOG=1")
  }

  private func line(_ text: String) -> String {
    String(text.map { $0.isNewline ? " " : $0 })
  }

  /// Whoever does not listen has nothing to lose by it.
  private func send(_ text: String) {
    guard let address else { return }
    let bytes = Array(text.utf8)
    // SAFETY: the address and the bytes live through the call.
    _ = unsafe hf_notify(address, bytes, bytes.count)
  }
}

/// Clocks as numbers.
enum Clock {
  /// Nanoseconds since the host's start.
  static var monotonic: UInt64 { hf_clock(0) }

  /// Seconds since 1970.
  static var unix: Double { Double(hf_clock(1)) / 1e9 }

  static func nanoseconds(_ duration: Duration) -> UInt64 {
    let (seconds, attoseconds) = duration.components
    return UInt64(max(0, seconds)) * 1_000_000_000 + UInt64(max(0, attoseconds / 1_000_000_000))
  }
}
