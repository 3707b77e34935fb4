import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

/// kill -9 at random moments: of create, seal, run and remove, of machines while they start or are
/// sealed, and of clones while they start. After each, the next commands leave every template either
/// complete or gone, and no other file, process or page.
///
/// HOLDFAST_CRASHES sets three times the number of kills on all file systems together,
/// HOLDFAST_CRASH_SEED the random seed.
@Suite(.enabled(if: HostNeeds.python, "\(TemplatePlace.needs)"))
struct TemplateCrashTests {
  private static let rounds: Int = {
    let variable = ProcessInfo.processInfo.environment["HOLDFAST_CRASHES"].flatMap { Int($0) }
    return ((variable ?? 40) + 8) / 9
  }()

  private static let seed: UInt64 = {
    let text = ProcessInfo.processInfo.environment["HOLDFAST_CRASH_SEED"]
    return text.flatMap { UInt64($0) } ?? .random(in: 1...1 << 32)
  }()

  @Test func onTmpfs() throws { try crash(try TemplatePlace(.tmpfs)) }

  @Test func onADisk() throws { try crash(try TemplatePlace(.disk)) }

  @Test(
    .enabled(
      if: HostNeeds.isRoot && HostNeeds.hugePages(.mebibytes(160)),
      "needs root and \(HostNeeds.hugePagesComment)"))
  func onHugePages() throws {
    try crash(try TemplatePlace(.hugetlbfs, pages: 64))
  }

  private func crash(_ place: TemplatePlace) throws {
    var world = try TemplateCrashWorld(place: place, random: SeededGenerator(seed: Self.seed))
    for round in 0..<Self.rounds {
      do {
        if place.kind == .hugetlbfs {
          // Between the rounds, tests that count the host's huge pages have their turn.
          try HugePageLock.withLock { try world.step(round) }
        } else {
          try world.step(round)
        }
      } catch {
        Issue.record("\(place.kind), round \(round) of seed \(Self.seed): \(error)")
        return
      }
    }
    try world.end()
    print(
      "template crashes on \(place.kind): \(Self.rounds) rounds of seed \(Self.seed), "
        + "\(world.killed) killed in time: \(world.outcomes.sorted { $0.key < $1.key })")
    #expect(Self.rounds < 30 || world.killed > Self.rounds / 4)
  }
}
