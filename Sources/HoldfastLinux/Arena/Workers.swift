internal import Dispatch
internal import Synchronization

/// Work on memory shared out to the machine's processors.
enum Workers {
  /// Calls `body` with each of `count` numbers, on up to `threads` threads at once, and returns when
  /// all are done. Threads take the next number when they have finished one, so that a slow
  /// processor holds nobody up. After `body` returns false no new numbers are given out.
  static func perform(_ count: Int, threads: Int, _ body: @Sendable (Int) -> Bool) {
    let threads = max(1, min(threads, count))
    if threads == 1 {
      for number in 0..<count where !body(number) { return }
      return
    }
    let next = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: threads) { _ in
      while true {
        let number = next.wrappingAdd(1, ordering: .relaxed).oldValue
        if number >= count { return }
        if !body(number) { next.store(count, ordering: .relaxed) }
      }
    }
  }
}
