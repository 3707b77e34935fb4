internal import Dispatch
internal import HoldfastCore
internal import Synchronization
internal import SystemPackage

/// Work on memory shared out to the machine's processors.
package enum Workers {
  /// Calls `body` with each of `count` numbers, on up to `threads` threads at once, and returns when
  /// all are done. Threads take the next number when they have finished one, so that a slow
  /// processor holds nobody up. After `body` returns false no new numbers are given out.
  ///
  /// - Parameter inherits: whether the threads are to have the caller's priority. Those of Dispatch
  ///   have one of their own, whoever asks.
  package static func perform(
    _ count: Int, threads: Int, inherits: Bool = false, _ body: @Sendable (Int) -> Bool
  ) {
    let threads = max(1, min(threads, count))
    if threads == 1 {
      for number in 0..<count where !body(number) { return }
      return
    }
    let next = Atomic<Int>(0)
    withoutActuallyEscaping(body) { body in
      let work: @Sendable (Int) -> Void = { _ in
        while true {
          let number = next.wrappingAdd(1, ordering: .relaxed).oldValue
          if number >= count { return }
          if !body(number) { next.store(count, ordering: .relaxed) }
        }
      }
      if inherits {
        if Threads.run(threads, work) == 0 { work(0) }
      } else {
        DispatchQueue.concurrentPerform(iterations: threads, execute: work)
      }
    }
  }

  /// Work on memory of one node.
  struct Group: Sendable {
    /// How many pieces there are.
    let count: Int
    /// The processors that are near; empty for any.
    let processors: [UInt32]
  }

  /// The same for memory of several nodes: each thread runs on the processors of the node whose memory
  /// it works on, and moves on to another's when nothing is left there. No more threads run than
  /// there are such processors.
  ///
  /// - Returns: why a thread could not be pinned, and worked from where it was.
  static func perform(
    _ groups: [Group], threads: Int, _ body: @escaping @Sendable (_ group: Int, Int) -> Bool
  ) -> Errno? {
    let groups = groups.enumerated().filter { $0.element.count > 0 }
    if groups.allSatisfy({ $0.element.processors.isEmpty }) {
      let starts = groups.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.element.count) }
      perform(starts[starts.count - 1], threads: threads) { number in
        let place = starts.lastIndex { $0 <= number } ?? 0
        return body(groups[place].offset, number - starts[place])
      }
      return nil
    }
    let plan = Plan(groups.map(\.element.count))
    let near = groups.reduce(0) {
      $0 + ($1.element.processors.isEmpty ? threads : $1.element.processors.count)
    }
    let count = max(1, min(threads, near, plan.total))
    let problem = Atomic<Int32>(0)
    let work: @Sendable (Int?) -> Void = { thread in
      var pinned: Int?
      while let (place, number) = plan.next(after: pinned, thread: thread ?? 0, of: count) {
        let (index, group) = groups[place]
        if pinned != place, thread != nil {
          // Where a node has no processors, all others are as good.
          let processors =
            group.processors.isEmpty
            ? groups.flatMap(\.element.processors) : group.processors
          do throws(Errno) {
            try Affinity(processors).apply()
          } catch {
            problem.store(error.rawValue, ordering: .relaxed)
          }
        }
        pinned = place
        if !body(index, number) { plan.stop() }
      }
    }
    // The caller's thread is not ours to pin.
    if Threads.run(count, { work($0) }) == 0 { work(nil) }
    let found = problem.load(ordering: .relaxed)
    return found == 0 ? nil : Errno(rawValue: found)
  }

  /// What is left to do for each group.
  private final class Plan: Sendable {
    private let counts: [Int]
    let total: Int
    private let lock = Lock()
    /// Protected by `lock`.
    private nonisolated(unsafe) var done: [Int]

    init(_ counts: [Int]) {
      self.counts = counts
      total = counts.reduce(0, +)
      unsafe done = counts.map { _ in 0 }
    }

    /// A piece of the group that the thread is at, or else of the one that it is for, or of that where
    /// most is left.
    func next(after group: Int?, thread: Int, of threads: Int) -> (group: Int, number: Int)? {
      lock.withLock {
        let wanted = group ?? home(thread, of: threads)
        let left = counts.indices.map { unsafe counts[$0] - done[$0] }
        guard let most = left.indices.max(by: { left[$0] < left[$1] }), left[most] > 0 else {
          return nil
        }
        let place = left[wanted] > 0 ? wanted : most
        defer { unsafe done[place] += 1 }
        return unsafe (place, done[place])
      }
    }

    /// Threads are shared out as the pieces are.
    private func home(_ thread: Int, of threads: Int) -> Int {
      var before = 0
      for (group, count) in counts.enumerated() {
        before += count
        if (2 * thread + 1) * total < 2 * threads * before { return group }
      }
      return counts.count - 1
    }

    func stop() {
      lock.withLock { unsafe done = counts }
    }
  }
}
