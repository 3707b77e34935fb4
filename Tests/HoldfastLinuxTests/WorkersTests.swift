import HoldfastCore
import Synchronization
import SystemPackage
import Testing

@testable import HoldfastLinux

struct WorkersTests {
  /// What was called, and on which processors the thread could run then.
  private final class Calls: Sendable {
    private let lock = Lock()
    private nonisolated(unsafe) var calls: [(group: Int, number: Int, affinity: Affinity?)] = []

    func add(_ group: Int, _ number: Int) {
      let affinity = Affinity.current
      lock.withLock { calls.append((group, number, affinity)) }
    }

    var all: [(group: Int, number: Int, affinity: Affinity?)] { lock.withLock { calls } }
  }

  private func expectAll(_ calls: Calls, _ counts: [Int]) {
    for (group, count) in counts.enumerated() {
      #expect(calls.all.filter { $0.group == group }.map(\.number).sorted() == Array(0..<count))
    }
  }

  private var processors: [UInt32] { Affinity.current?.processors ?? [] }

  @Test(arguments: [1, 2, 3, 8]) func `each piece is done once, on its node`(threads: Int) throws {
    let all = processors
    let (first, last) = (try #require(all.first), try #require(all.last))
    let before = Affinity.current
    let calls = Calls()
    let counts = [40, 0, 3, 17]
    let homes = [[first], [first], [last], all]
    let problem = Workers.perform(
      zip(counts, homes).map { Workers.Group(count: $0, processors: $1) }, threads: threads
    ) { group, number in
      calls.add(group, number)
      return true
    }
    #expect(problem == nil)
    expectAll(calls, counts)
    for call in calls.all { #expect(call.affinity?.processors == homes[call.group]) }
    #expect(Affinity.current == before, "the caller's thread is pinned")
  }

  @Test func `no thread is pinned without nodes`() {
    let calls = Calls()
    let problem = Workers.perform(
      [5, 0, 9].map { Workers.Group(count: $0, processors: []) }, threads: 2
    ) { group, number in
      calls.add(group, number)
      return true
    }
    #expect(problem == nil)
    expectAll(calls, [5, 0, 9])
  }

  @Test func `the processors of all other nodes work on memory without processors`() throws {
    let first = try #require(processors.first)
    let calls = Calls()
    _ = Workers.perform(
      [.init(count: 4, processors: [first]), .init(count: 4, processors: [])], threads: 2
    ) { group, number in
      calls.add(group, number)
      return true
    }
    expectAll(calls, [4, 4])
    for call in calls.all { #expect(call.affinity?.processors == [first]) }
  }

  @Test func `unusable processors do not stop the work`() {
    let calls = Calls()
    let problem = Workers.perform(
      [.init(count: 6, processors: [8190, 8191])], threads: 2
    ) { group, number in
      calls.add(group, number)
      return true
    }
    #expect(problem == .invalidArgument)
    expectAll(calls, [6])
  }

  @Test func `a failure stops the remaining work`() throws {
    let first = try #require(processors.first)
    let count = Atomic<Int>(0)
    _ = Workers.perform([.init(count: 1000, processors: [first])], threads: 2) { _, number in
      count.add(1, ordering: .relaxed)
      return number != 3
    }
    #expect(count.load(ordering: .relaxed) == 4)
  }

  @Test func `no thread starts without work`() {
    #expect(Workers.perform([], threads: 2) { _, _ in true } == nil)
    #expect(Threads.run(0) { _ in Issue.record("called") } == 0)
  }
}
