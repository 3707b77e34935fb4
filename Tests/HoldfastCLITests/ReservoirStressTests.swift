import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

/// kill -9 at random moments of the service, of the owner's commands, and of members who lease by
/// its socket, all at the same time. After each round no guest's byte is in a ready file, each lease
/// that its user was told of exists, no file has two names, and every page is accounted for.
///
/// HOLDFAST_CRASHES sets the number of operations, four on each file system for each kill of
/// ReservoirCrashTests; HOLDFAST_CRASH_SEED sets the random seed, with which the times still differ.
@Suite(
  .enabled(
    if: HostNeeds.canChangeUser && HoldfastProgram.othersCanRun && HostNeeds.python,
    "needs root, setpriv, python3, and a build folder that other users may enter"))
struct ReservoirStressTests {
  private static func number(_ variable: String) -> UInt64? {
    ProcessInfo.processInfo.environment[variable].flatMap { UInt64($0) }
  }

  private static let operations = 4 * Int(number("HOLDFAST_CRASHES") ?? 25)
  private static let seed = number("HOLDFAST_CRASH_SEED") ?? .random(in: 1...1 << 32)

  @Test func onTmpfs() throws {
    try stress("tmpfs") { try $0() }
  }

  @Test(
    .enabled(
      if: HostNeeds.hugePages(.mebibytes(112)), "needs \(HostNeeds.hugePagesComment)"))
  func onHugePages() throws {
    // Between the rounds, tests that count the host's huge pages have their turn.
    try stress("hugetlbfs") { try HugePageLock.withLock($0) }
  }

  private func stress(_ fileSystem: String, _ lock: (() throws -> Void) throws -> Void) throws {
    let world = try StressWorld(
      fileSystem: fileSystem, random: SeededGenerator(seed: Self.seed))
    var rounds = 0
    do {
      while world.ledger.operations < Self.operations {
        try lock { try world.round(rounds) }
        rounds += 1
      }
      try lock { try world.finish() }
    } catch {
      Issue.record("round \(rounds) of seed \(Self.seed): \(error)\n\(world.served.log)")
      return
    }
    print(
      "reservoir stress on \(fileSystem): \(world.ledger.operations) operations in \(rounds) "
        + "rounds of seed \(Self.seed), \(world.killed) kills: "
        + "\(world.ledger.counts.sorted { $0.key < $1.key })")
    #expect(world.killed > rounds)
  }
}
