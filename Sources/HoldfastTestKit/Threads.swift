internal import Dispatch
internal import Foundation
internal import Synchronization

/// Runs `body` on `count` threads at once, and returns whether all returned within `seconds`.
/// Threads that hang are abandoned.
package func runThreads(
  _ count: Int, seconds: Int = 60, _ body: @escaping @Sendable (Int) -> Void
) -> Bool {
  let group = DispatchGroup()
  for index in 0..<count {
    group.enter()
    let thread = Thread {
      body(index)
      group.leave()
    }
    thread.stackSize = 1 << 21
    thread.start()
  }
  return group.wait(timeout: .now() + .seconds(seconds)) == .success
}

/// The failures that concurrent threads of a test report.
package final class ConcurrentFailures: @unchecked Sendable {
  private let lock = NSLock()
  private var found: [String] = []
  private let count = Atomic<Int>(0)

  /// The number of operations that the threads have begun.
  package var operations: Int { count.load(ordering: .relaxed) }

  /// Counts an operation.
  package func tally() { count.wrappingAdd(1, ordering: .relaxed) }

  /// No failures.
  package init() {}

  /// The first 20 failures.
  package var all: [String] { lock.withLock { found } }

  /// Adds a failure.
  package func report(_ problem: String) {
    lock.withLock { if found.count < 20 { found.append(problem) } }
  }
}

/// A point that threads pass together: each waits until the given number have arrived.
package final class Barrier: @unchecked Sendable {
  private let condition = NSCondition()
  private var missing: Int

  /// A barrier for `count` threads. It can be used once.
  package init(_ count: Int) { missing = count }

  /// Waits until all threads have arrived.
  package func arrive() {
    condition.lock()
    missing -= 1
    condition.broadcast()
    while missing > 0 { condition.wait() }
    condition.unlock()
  }
}
