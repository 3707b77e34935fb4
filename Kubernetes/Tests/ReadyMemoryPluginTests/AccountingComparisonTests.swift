import ReadyMemoryPlugin
import Testing

struct AccountingComparisonTests {
  private let start = ContinuousClock.now
  private let page: UInt64 = 2 << 20
  private let gibibyte: UInt64 = 1 << 30

  private func balance(
    limit: UInt64?, ready: UInt64 = 0, leased: UInt64 = 0, filling: UInt64 = 0, levels: UInt64?
  ) -> MemoryBalance {
    var balance = MemoryBalance(pageSize: page, limit: limit.map { $0 * gibibyte })
    balance.ready = ready * gibibyte
    balance.leased = leased * gibibyte
    balance.filling = filling * gibibyte
    balance.levels = levels.map { $0 * gibibyte }
    return balance
  }

  private func line(_ balance: MemoryBalance) -> String? {
    AccountingComparison.line(Set(balance.differences), [balance])
  }

  @Test func `a limit that covers what is held agrees, also with room for leases`() {
    let one = balance(limit: 8, ready: 4, leased: 4, levels: 4)
    #expect(one.differences.isEmpty && one.difference == 0 && line(one) == nil)
    let room = balance(limit: 8, ready: 3, filling: 1, levels: 4)
    #expect(room.differences.isEmpty && room.difference == Int64(4 * gibibyte))
    // All of the levels is leased, and the limit has no room for more.
    #expect(balance(limit: 4, leased: 4, levels: 4).differences.isEmpty)
  }

  @Test func `more is held than the limit`() {
    let balance = balance(limit: 6, ready: 4, leased: 2, filling: 2, levels: 4)
    #expect(balance.differences == [.heldBeyondLimit(pageSize: page)])
    #expect(balance.difference == -Int64(2 * gibibyte))
    #expect(
      line(balance)
        == "pages of 2 MiB: the reservoir holds 8 GiB, 2 GiB more than the limit of 6 GiB")
  }

  @Test func `the levels want more than the limit`() {
    let balance = balance(limit: 4, ready: 4, levels: 6)
    #expect(
      line(balance)
        == "pages of 2 MiB: the levels want 6 GiB, 2 GiB more than the limit of 4 GiB")
  }

  @Test func `less is held than the levels want`() {
    let short = balance(limit: 8, ready: 1, levels: 4)
    #expect(
      line(short)
        == "pages of 2 MiB: the reservoir holds 1 GiB of the 4 GiB that its levels want, 7 GiB less "
        + "than the limit of 8 GiB")
    // A file is being filled, slowly.
    #expect(balance(limit: 8, ready: 1, filling: 2, levels: 4).differences.isEmpty)
    // Without the service's metrics the levels are not known.
    #expect(balance(limit: 8, ready: 1, levels: nil).differences.isEmpty)
  }

  @Test func `without a limit nothing is compared`() {
    let one = balance(limit: nil, ready: 100, levels: 200)
    #expect(one.differences.isEmpty && one.difference == nil)
  }

  @Test func `no number traps`() {
    var balance = MemoryBalance(pageSize: page, limit: .max)
    balance.ready = .max
    balance.leased = .max
    balance.levels = .max
    #expect(balance.held == .max && balance.differences.isEmpty && balance.difference == 0)
    balance.limit = 0
    #expect(balance.difference == -.max)
    #expect(line(balance)?.isEmpty == false)
  }

  @Test func `a difference counts when it has lasted, in some rounds`() {
    var comparison = AccountingComparison(settle: .seconds(10))
    let one = AccountingDifference.heldBeyondLimit(pageSize: page)
    let other = AccountingDifference.leaseWithoutPod("kube_a_any-0_1")
    func observe(_ present: Set<AccountingDifference>, _ second: Int) -> Set<AccountingDifference> {
      comparison.observe(present, at: start + .seconds(second))
    }
    #expect(observe([one], 0).isEmpty)
    // Two rounds are not enough, however far apart.
    #expect(observe([one], 60).isEmpty)
    #expect(observe([one, other], 61) == [one])
    // It ends at once, and begins anew.
    #expect(observe([other], 62).isEmpty)
    for second in 63...72 {
      #expect(observe([one, other], second) == (second >= 71 ? [other] : []))
    }
    #expect(observe([one, other], 73) == [one, other])
  }

  @Test func `a fill that goes on is no lasting difference`() {
    var comparison = AccountingComparison(settle: .seconds(2))
    for second in 0..<60 {
      let balance = balance(limit: 100, ready: UInt64(second), levels: 80)
      #expect(balance.differences.count == 1)
      #expect(
        comparison.observe(Set(balance.differences), at: start + .seconds(second)).isEmpty)
    }
  }

  @Test func `the line names some devices and leases, and counts all`() {
    let devices = (0..<5).map {
      AccountingDifference.deviceWithoutLease(
        resource: "holdfast.dev/ready-2m-2gi", device: "n0-\($0)")
    }
    let line = AccountingComparison.line(
      Set(devices + [.leaseWithoutPod("kube_x"), .noAnswer(of: "the kubelet")]), [])
    #expect(
      line == "5 devices of pods have no lease: holdfast.dev/ready-2m-2gi n0-0, "
        + "holdfast.dev/ready-2m-2gi n0-1, holdfast.dev/ready-2m-2gi n0-2 and others; "
        + "a lease has no pod, and its file is in use: kube_x; the kubelet does not answer")
    #expect(AccountingComparison.line([], []) == nil)
  }
}
