internal import Glibc

/// Waits until a condition holds, and returns whether it does before the timeout.
///
/// The condition is evaluated at growing intervals of 50 µs to 5 ms. For what a test cannot wait
/// for directly: a file of another process, a counter of another thread.
public func eventually(
  within timeout: Duration = .seconds(60), _ condition: () throws -> Bool
) rethrows -> Bool {
  let end = ContinuousClock.now + timeout
  var interval = UInt32(50)
  while try !condition() {
    guard ContinuousClock.now < end else { return false }
    usleep(interval)
    interval = min(interval * 2, 5000)
  }
  return true
}

extension Duration {
  /// How long a test waits for threads of idle priority, such as those that zero memory ahead. Beside
  /// builds and other tests these may hardly run for minutes.
  public static var forIdleThreads: Duration { .seconds(900) }
}
