import ReadyMemoryPlugin
import Testing

struct LeaseSightingsTests {
  private var sightings = LeaseSightings(grace: .seconds(60))
  private let start = ContinuousClock.now

  private func tag(_ number: UInt32, _ generation: UInt64 = 1) -> LeaseTag {
    LeaseTag(
      resource: "ready-2m-2gi", device: DeviceID(node: nil, number: number), generation: generation)
  }

  private mutating func observe(
    _ leases: Set<LeaseTag>, inUse: Set<LeaseTag> = [], at seconds: Int64
  ) -> Set<LeaseTag> {
    sightings.observe(
      leases: leases, isInUse: { inUse.contains($0) }, at: start + .seconds(seconds))
  }

  @Test mutating func `a lease that was in use ends with the second list without it`() {
    #expect(observe([tag(0)], inUse: [tag(0)], at: 0).isEmpty)
    #expect(observe([tag(0)], at: 1).isEmpty)
    #expect(observe([tag(0)], inUse: [tag(0)], at: 2).isEmpty)
    #expect(observe([tag(0)], at: 3).isEmpty)
    #expect(observe([tag(0)], at: 4) == [tag(0)])
  }

  @Test mutating func `a lease that was never in use ends after the grace time`() {
    for second in stride(from: Int64(0), to: 60, by: 5) {
      #expect(observe([tag(0)], at: second).isEmpty)
    }
    #expect(observe([tag(0)], at: 60) == [tag(0)])
  }

  @Test mutating func `the grace time begins again when the device was in use`() {
    #expect(observe([tag(0)], at: 0).isEmpty)
    #expect(observe([tag(0)], inUse: [tag(0)], at: 59).isEmpty)
    #expect(observe([tag(0)], at: 61).isEmpty)
  }

  @Test mutating func `after the kubelet's start a missing pod has the grace time`() {
    #expect(observe([tag(0)], inUse: [tag(0)], at: 0).isEmpty)
    #expect(observe([tag(0)], at: 1).isEmpty)
    sightings.forgetPods()
    #expect(observe([tag(0)], at: 2).isEmpty)
    #expect(observe([tag(0)], at: 3).isEmpty)
    #expect(observe([tag(0)], at: 61).isEmpty)
    #expect(observe([tag(0)], at: 62) == [tag(0)])
  }

  @Test mutating func `an earlier lease of the same device has ended, also if the list has it`() {
    let leases: Set = [tag(0, 1), tag(0, 10_000_001), tag(1, 1)]
    #expect(observe(leases, inUse: leases, at: 0) == [tag(0, 1)])
  }

  @Test mutating func `leases of a device within ten seconds are of one pod`() {
    // Two init containers and another container, of which the list has the device.
    let leases: Set = [tag(0, 1), tag(0, 4_000_000), tag(0, 10_000_000)]
    #expect(observe(leases, inUse: leases, at: 0).isEmpty)
    #expect(observe(leases, inUse: leases, at: 100).isEmpty)
    #expect(observe(leases, at: 101).isEmpty)
    #expect(observe(leases, at: 102) == leases)
  }

  @Test mutating func `a lease that a list lacked is not that of the pod that comes next`() {
    #expect(observe([tag(0)], inUse: [tag(0)], at: 0).isEmpty)
    #expect(observe([tag(0)], at: 1).isEmpty)
    let leases: Set = [tag(0), tag(0, 1_500_000)]
    #expect(observe(leases, inUse: leases, at: 2) == [tag(0)])
    #expect(observe(leases, inUse: leases, at: 3) == [tag(0)])
  }

  @Test mutating func `a lease that had ended is not the next pod's`() {
    #expect(observe([tag(0)], inUse: [tag(0)], at: 0).isEmpty)
    #expect(observe([tag(0)], at: 1).isEmpty)
    #expect(observe([tag(0)], at: 2) == [tag(0)])
    let leases: Set = [tag(0), tag(0, 3_000_000)]
    #expect(observe(leases, inUse: leases, at: 3) == [tag(0)])
    #expect(observe(leases, inUse: leases, at: 4) == [tag(0)])
  }

  @Test mutating func `a lease with the name of an ended one is another`() {
    #expect(observe([tag(0)], inUse: [tag(0)], at: 0).isEmpty)
    #expect(observe([], at: 1).isEmpty)
    #expect(observe([tag(0)], at: 2).isEmpty)
    #expect(observe([tag(0)], at: 3).isEmpty)
  }

  @Test mutating func `a refused release is tried later each time, at most 10 seconds later`() {
    _ = observe([tag(0)], at: 0)
    #expect(sightings.mayRelease(tag(0), at: start))
    var now = start
    var delays: [Duration] = []
    for _ in 0..<9 {
      sightings.wasRefused(tag(0), at: now)
      #expect(!sightings.mayRelease(tag(0), at: now))
      let before = now
      while !sightings.mayRelease(tag(0), at: now) { now += .seconds(1) }
      delays.append(now - before)
    }
    #expect(delays == [1, 2, 4, 8, 10, 10, 10, 10, 10].map { .seconds($0) })
  }
}
