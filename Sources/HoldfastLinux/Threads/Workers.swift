internal import HoldfastCore
internal import Synchronization
internal import SystemPackage

/// Work on memory, divided among the host's processors.
package enum Workers {
  /// The most threads that work at once, however many a caller asks for: the most processors that
  /// Linux supports.
  private static let mostThreads = 8192

  /// Calls `body` with each number below `count`, on up to `threads` threads at once, and returns
  /// when all calls have returned. A thread takes the next number when it has finished one, so a
  /// slow processor does not delay the others. After `body` returns false no new numbers are taken.
  /// The caller is one of the threads; the others end with the call.
  package static func perform(_ count: Int, threads: Int, _ body: @Sendable (Int) -> Bool) {
    let threads = max(1, min(threads, count, mostThreads))
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
      Threads.runWithCaller(threads, work)
    }
  }

  /// Work on memory of one node.
  struct Group: Sendable {
    /// The number of pieces.
    let count: Int
    /// The node's processors; empty for any.
    let processors: [UInt32]
  }

  /// The same for memory of several nodes: each thread runs on the processors of the node whose
  /// memory it works on, and moves to another node's when no work is left there. No more threads
  /// run than there are such processors.
  ///
  /// - Returns: why a thread could not be pinned, and worked on any processor; nil if all were.
  static func perform(
    _ groups: [Group], threads: Int, _ body: @escaping @Sendable (_ group: Int, Int) -> Bool
  ) -> Errno? {
    let threads = max(1, min(threads, mostThreads))
    let groups = groups.enumerated().filter { $0.element.count > 0 }
    if groups.allSatisfy({ $0.element.processors.isEmpty }) {
      let starts = groups.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.element.count) }
      perform(starts[starts.count - 1], threads: threads) { number in
        let group = starts.lastIndex { $0 <= number } ?? 0
        return body(groups[group].offset, number - starts[group])
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
      while let (next, number) = plan.next(after: pinned, thread: thread ?? 0, of: count) {
        let (index, group) = groups[next]
        if pinned != next, thread != nil {
          // For a node without processors, those of all other nodes are equal.
          let processors =
            group.processors.isEmpty
            ? groups.flatMap(\.element.processors) : group.processors
          do throws(Errno) {
            try Affinity(processors).apply()
          } catch {
            problem.store(error.rawValue, ordering: .relaxed)
          }
        }
        pinned = next
        if !body(index, number) { plan.stop() }
      }
    }
    // The caller's own thread is never pinned.
    if Threads.run(count, { work($0) }) == 0 { work(nil) }
    let found = problem.load(ordering: .relaxed)
    return found == 0 ? nil : Errno(rawValue: found)
  }

  /// The pieces that are left in each group.
  private final class Plan: Sendable {
    private let counts: [Int]
    let total: Int
    private let lock = Lock()
    /// The pieces taken so far. Protected by `lock`.
    private nonisolated(unsafe) var done: [Int]

    init(_ counts: [Int]) {
      self.counts = counts
      total = counts.reduce(0, +)
      unsafe done = counts.map { _ in 0 }
    }

    /// Takes a piece of the thread's group, that is, `group` or the thread's first one; if that has
    /// none left, of the group with the most pieces left. Nil when all pieces are taken.
    func next(after group: Int?, thread: Int, of threads: Int) -> (group: Int, number: Int)? {
      lock.withLock {
        let wanted = group ?? home(thread, of: threads)
        let left = counts.indices.map { unsafe counts[$0] - done[$0] }
        guard let most = left.indices.max(by: { left[$0] < left[$1] }), left[most] > 0 else {
          return nil
        }
        let chosen = left[wanted] > 0 ? wanted : most
        defer { unsafe done[chosen] += 1 }
        return unsafe (chosen, done[chosen])
      }
    }

    /// The first group of a thread: threads are divided among groups in proportion to the pieces.
    private func home(_ thread: Int, of threads: Int) -> Int {
      var before = 0
      for (group, count) in counts.enumerated() {
        before += count
        if (2 * thread + 1) * total < 2 * threads * before { return group }
      }
      return counts.count - 1
    }

    /// Leaves no pieces to take.
    func stop() {
      lock.withLock { unsafe done = counts }
    }
  }
}
