import Dispatch
import Foundation

/// Runs `body` on so many threads at once and returns whether all came back in time. Threads that
/// hang are left to themselves.
func runThreads(
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
