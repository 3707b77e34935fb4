import HoldfastTestKit
import Testing

@testable import HoldfastCore

/// Behaviour 25 over shadow chains: the model's operations, including forks and collapses, with all
/// wirings by one path and by the other.
struct ChainDifferentialTests {
  /// All that can be observed of a world.
  private struct Observed: Equatable {
    /// The topmost page of an address's chain.
    struct Page: Equatable {
      var isResident = false
      var isValid = false
      var wireCount: UInt16 = 0
    }

    var entries: [[MapEntryView]] = []
    var pages: [[Page]] = []
    var charged = ByteCount.zero
    var free = PageCount.zero
    var code: HoldfastError.Code?
    var address: Address?
  }

  private static func look(at world: ModelWorld) -> Observed {
    var seen = Observed()
    let geometry = world.machine.geometry
    for (space, _) in world.spaces {
      seen.entries.append(space.entryViews)
      var pages = [Observed.Page](repeating: .init(), count: world.pages)
      space.entries.visitAll { entry in
        guard let object = entry.object else { return }
        let first = geometry.pages(in: entry.range.start - .zero).rawValue - world.origin
        let range = entry.pages(of: entry.range, geometry)
        object.forEachTopmost(in: range) { run, _, _, state in
          for index in 0..<run.count.rawValue {
            let page = first + (run.start - range.start).rawValue + index
            pages[Int(page)] = .init(
              isResident: true, isValid: state.isValid && !state.isBusy, wireCount: state.wireCount)
          }
        }
      }
      seen.pages.append(pages)
    }
    seen.charged = world.machine.wiredLimit.current
    seen.free = world.machine.memory.available
    seen.code = world.lastError?.code
    seen.address = world.lastError?.address
    return seen
  }

  private static func run(seed: UInt64, steps: Int, scale: UInt64) -> String? {
    var random = SeededGenerator(seed: seed)
    let worlds = WirePath.allCases.map {
      ModelWorld(dirty: seed % 2 == 0, path: $0, scale: scale, large: seed % 5 < 2)
    }
    defer { for world in worlds { _ = world.finish() } }
    for number in 0..<steps {
      var step = ModelStep(using: &random)
      // The paths make different calls, so the n-th one is not the same.
      if case .translations = step.shortage { step.shortage = nil }
      for world in worlds {
        if let problem = world.perform(step) { return "seed \(seed), step \(number): \(problem)" }
      }
      // A wire that fails leaves what it has paged in. By runs it pages in more before it copies,
      // so frames run out, and the pager fails, at another page.
      let hasFailed = worlds.allSatisfy { $0.lastError != nil }
      let pagesDiffer = hasFailed && Set(worlds.map(\.residency)).count > 1
      if pagesDiffer {
        do { for world in worlds { try world.pageAllIn() } } catch { return "\(error)" }
      }
      var seen = worlds.map(look)
      if pagesDiffer { for index in seen.indices { seen[index].address = nil } }
      if seen[0] != seen[1] {
        return "seed \(seed), step \(number), \(step):\n\(seen[0])\nand\n\(seen[1])"
      }
    }
    return nil
  }

  private static let batches: UInt64 = 4
  private static let steps = 200

  @Test(arguments: 0..<batches, [1, 64] as [UInt64])
  func `both paths leave the same over forks and chains`(batch: UInt64, scale: UInt64) {
    // An eighth of the steps where a page of the model is many pages.
    let steps = SuiteSize.differentialSteps / (scale == 1 ? 4 : 32)
    let runs = max(1, steps / Self.batches / UInt64(Self.steps))
    for seed in batch * runs..<(batch + 1) * runs {
      if let problem = Self.run(seed: 7000 + seed, steps: Self.steps, scale: scale) {
        Issue.record("\(problem)")
        return
      }
    }
    print("ChainDifferentialTests: \(runs * UInt64(Self.steps)) steps by both paths")
  }
}
