import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

/// kill -9 at random moments: of fill, lease, run, recycle and serve, and of the monitor that `run`
/// has started.
/// After each, one `gc` leaves no file or page unaccounted for.
///
/// HOLDFAST_CRASHES sets the number of kills, HOLDFAST_CRASH_SEED the random seed.
struct ReservoirCrashTests {
  private static let rounds: Int = {
    let variable = ProcessInfo.processInfo.environment["HOLDFAST_CRASHES"].flatMap { Int($0) }
    return variable ?? 40
  }()

  private static let seed: UInt64 = {
    let text = ProcessInfo.processInfo.environment["HOLDFAST_CRASH_SEED"]
    return text.flatMap { UInt64($0) } ?? .random(in: 1...1 << 32)
  }()

  @Test func onTmpfs() throws {
    try crash(try ReservoirPlace(), countsPages: false)
  }

  @Test(
    .enabled(
      if: HostNeeds.isRoot && HostNeeds.hugePages(.mebibytes(80)),
      "needs root and \(HostNeeds.hugePagesComment)"))
  func onHugePages() throws {
    try crash(try ReservoirPlace(fileSystem: "hugetlbfs", size: 64 << 20), countsPages: true)
  }

  private func crash(_ place: ReservoirPlace, countsPages: Bool) throws {
    var world = try CrashWorld(
      place: place, countsPages: countsPages, random: SeededGenerator(seed: Self.seed))
    for round in 0..<Self.rounds {
      do {
        // Between the rounds, tests that count the host's huge pages have their turn.
        if countsPages {
          try HugePageLock.withLock { try world.step(round) }
        } else {
          try world.step(round)
        }
      } catch {
        Issue.record("round \(round) of seed \(Self.seed): \(error)")
        return
      }
    }
    print(
      "reservoir crashes: \(Self.rounds) rounds of seed \(Self.seed), "
        + "\(world.killed) killed in time: \(world.outcomes.sorted { $0.key < $1.key })")
    #expect(Self.rounds < 40 || world.killed > Self.rounds / 4)
  }
}
