internal import CHoldfastLinux
internal import SystemPackage

/// A descriptor that, once raised, ends every wait of the threads that poll it, for good. The
/// corresponding C function is `eventfd`.
final class StopSignal: Sendable {
  /// Becomes readable when the signal is raised.
  let descriptor: Int32

  init() throws(Errno) {
    let result = hf_event()
    try check(result)
    descriptor = result
  }

  deinit {
    _ = hf_close(descriptor)
  }

  /// Raises the signal. Any thread may, any number of times.
  func raise() {
    _ = hf_signal(descriptor)
  }
}
