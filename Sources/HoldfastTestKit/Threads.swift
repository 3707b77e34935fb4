internal import Dispatch
internal import Foundation
internal import Synchronization

/// Runs `body` on so many threads at once and returns whether all came back in time. Threads that
/// hang are left to themselves.
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

/// What threads have found wrong.
package final class ConcurrentFailures: @unchecked Sendable {
  private let lock = NSLock()
  private var found: [String] = []
  private let count = Atomic<Int>(0)

  /// How many operations the threads have begun.
  package var operations: Int { count.load(ordering: .relaxed) }

  package func tally() { count.wrappingAdd(1, ordering: .relaxed) }

  package init() {}

  package var all: [String] { lock.withLock { found } }

  package func report(_ problem: String) {
    lock.withLock { if found.count < 20 { found.append(problem) } }
  }
}

/// Lets threads go on once so many of them have come.
package final class Barrier: @unchecked Sendable {
  private let condition = NSCondition()
  private var missing: Int

  package init(_ count: Int) { missing = count }

  package func arrive() {
    condition.lock()
    missing -= 1
    condition.broadcast()
    while missing > 0 { condition.wait() }
    condition.unlock()
  }
}
