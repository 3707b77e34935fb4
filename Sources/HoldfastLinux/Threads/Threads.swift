internal import SystemPackage

/// Threads that live for one piece of work, so that changes to a thread, such as its affinity, end
/// with it. They inherit the caller's priority. Threads that stayed for later work, as Dispatch has
/// them, would be in the way of a monitor's fork(2), seccomp filters and dlclose(3).
enum Threads {
  private static let name = "holdfast-work"

  /// Calls `body` with each number below `count`, each on a new thread, and waits for all. Where
  /// the host allows no further thread, the remaining numbers are left out. The corresponding C
  /// function is `pthread_create`.
  ///
  /// - Returns: the number of threads that ran.
  static func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) -> Int {
    let threads = start(0..<count, body)
    for thread in threads { thread.join() }
    return threads.count
  }

  /// The same, but the caller itself does number 0.
  static func runWithCaller(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let threads = start(1..<count, body)
    body(0)
    for thread in threads { thread.join() }
  }

  private static func start(
    _ numbers: Range<Int>, _ body: @escaping @Sendable (Int) -> Void
  ) -> [BackgroundThread] {
    var threads: [BackgroundThread] = []
    for number in numbers {
      guard let thread = try? BackgroundThread(name, { body(number) }) else { break }
      threads.append(thread)
    }
    return threads
  }
}
