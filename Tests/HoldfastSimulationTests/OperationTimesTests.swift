import HoldfastTestKit
import Testing

@testable import HoldfastSimulation

struct OperationTimesTests {
  @Test(arguments: [UInt64(1), 2, 3])
  func `quantiles are at most a thirty-second above those of the sorted values`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let values = (0..<5000).map { _ in random.next() >> (random.next() % 64) }
    var times = OperationTimes()
    for value in values { times.add(value >> 12) }
    let sorted = values.map { $0 >> 12 }.sorted()
    for share in [0, 0.001, 0.25, 0.5, 0.9, 0.99, 1] {
      let rank = max(1, Int((share * 5000).rounded(.up)))
      let exact = sorted[rank - 1]
      let found = times.quantile(share) ?? 0
      #expect(found >= exact && Double(found) <= Double(exact) * (1 + 1.0 / 32), "\(share)")
    }
    #expect(times.longest == sorted.last && times.count == 5000)
    let sum = sorted.reduce(0, +)
    #expect(times.total == sum && times.mean == Double(sum) / 5000)
  }

  @Test func `without durations the quantile is nil`() {
    let times = OperationTimes()
    #expect(times.mean == nil && times.quantile(0.5) == nil && times.longest == 0)
  }

  @Test func `the longest possible duration fits`() {
    var times = OperationTimes()
    times.add(.max)
    #expect(times.quantile(0.5) == .max)
  }
}
