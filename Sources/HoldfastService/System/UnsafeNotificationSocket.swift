internal import CHoldfastLinux
internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import Synchronization

/// The socket of the service manager (systemd), to which the service reports its state
/// (sd_notify(3)). NOTIFY_SOCKET names it; without that variable nothing is sent.
final class NotificationSocket: Sendable {
  private let address: String?
  /// The longest time between two keep-alive messages, or nil where the manager expects none.
  let watchdog: Duration?
  /// When the last keep-alive message was sent, in nanoseconds.
  private let lastKeepAlive = Atomic<UInt64>(0)

  init() {
    address = Environment.value("NOTIFY_SOCKET").flatMap { $0.isEmpty ? nil : $0 }
    let microseconds = Environment.value("WATCHDOG_USEC").flatMap { UInt64(digits: $0) }
    let process = Environment.value("WATCHDOG_PID").flatMap { Int32(digits: $0) }
    watchdog =
      process == nil || process == getpid()
      ? microseconds.flatMap { $0 > 0 ? .microseconds(Int64(min($0, 1 << 50))) : nil } : nil
  }

  /// Reports that the service runs.
  func ready(_ status: String) { send("READY=1\nSTATUS=\(line(status))") }

  /// Reports that the service reads its configuration.
  func reloading() { send("RELOADING=1\nMONOTONIC_USEC=\(Clock.monotonic / 1000)") }

  /// Reports that the service ends.
  func stopping() { send("STOPPING=1\nSTATUS=stopping") }

  /// Reports a status line for people.
  func status(_ text: String) { send("STATUS=\(line(text))") }

  /// Sends a keep-alive message where one is due. May be called at any frequency.
  func keepAlive() {
    guard let watchdog else { return }
    let now = Clock.monotonic
    let before = lastKeepAlive.load(ordering: .relaxed)
    guard now - min(before, now) >= watchdog.nanoseconds / 4,
      lastKeepAlive.compareExchange(expected: before, desired: now, ordering: .relaxed).exchanged
    else { return }
    send("WATCHDOG=1")
  }

  private func line(_ text: String) -> String {
    String(text.map { $0.isNewline ? " " : $0 })
  }

  /// Sends a message. The service does not depend on it, so errors are ignored.
  private func send(_ text: String) {
    guard let address else { return }
    let bytes = Array(text.utf8)
    // SAFETY: the address and the bytes live through the call.
    _ = unsafe hf_notify(address, bytes, bytes.count)
  }
}
