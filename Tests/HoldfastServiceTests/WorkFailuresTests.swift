import HoldfastCore
import Testing

@testable import HoldfastService

/// What has failed, and when it is tried again.
struct WorkFailuresTests {
  private let level = ServiceConfiguration.Level(count: 1, size: .mebibytes(4))
  private let second: UInt64 = 1_000_000_000

  private func error(_ reason: String, _ code: HoldfastError.Code = .host) -> HoldfastError {
    HoldfastError(code, operation: "work", reason: reason)
  }

  @Test func delaysDouble() {
    var failures = WorkFailures()
    let work = Work.level(level)
    #expect(!failures.isDelayed(work, at: 0) && failures.line([level]) == nil)
    var now: UInt64 = 0
    for delay in [5, 10, 20, 40, 60, 60, 60].map({ UInt64($0) }) {
      let isNew = failures.fail(work, error("no room"), interval: 5 * second, at: now)
      #expect(isNew == (now == 0))
      #expect(failures.isDelayed(work, at: now + delay * second - 1))
      now += delay * second
      #expect(!failures.isDelayed(work, at: now))
      // Work that waits, and work that is due, has failed until it succeeds.
      #expect(failures.line([level])?.contains("no room") == true)
    }
    let isOther = failures.fail(work, error("x", .busy), interval: second, at: now)
    #expect(isOther)
    let failed = failures.succeed(work)
    #expect(failed && failures.line([level]) == nil)
    let failedAgain = failures.succeed(work)
    #expect(!failedAgain && !failures.isDelayed(work, at: now))
  }

  @Test func oneLine() {
    var failures = WorkFailures()
    let other = ServiceConfiguration.Level(count: 1, size: .mebibytes(8))
    _ = failures.fail(.collection, error("collecting"), interval: 1, at: 0)
    #expect(failures.line([level, other])?.hasSuffix("collecting") == true)
    _ = failures.fail(.level(other), error("second\nlevel"), interval: 1, at: 0)
    #expect(failures.line([level, other])?.hasSuffix("second?level (and 1 more failures)") == true)
    _ = failures.fail(.level(level), error("first"), interval: 1, at: 0)
    #expect(failures.line([level, other])?.contains("first (and 2 more failures)") == true)
    _ = failures.fail(.place, error("gone"), interval: 1, at: 0)
    #expect(failures.line([level, other])?.contains("gone (and 3 more failures)") == true)
  }

  /// A new configuration is tried at once, and nothing is healthy before it was.
  @Test func newConfigurations() {
    var failures = WorkFailures()
    let other = ServiceConfiguration.Level(count: 1, size: .mebibytes(8))
    for work in [Work.level(level), .level(other), .collection] {
      _ = failures.fail(work, error("x"), interval: second, at: 0)
    }
    var configuration = ServiceConfiguration()
    configuration.levels = [other]
    failures.retry(configuration)
    #expect(!failures.isDelayed(.level(other), at: 0) && !failures.isDelayed(.collection, at: 0))
    #expect(failures.line([other])?.contains("1 more") == true)
    #expect(failures.line([level, other])?.contains("1 more") == true)
    // The failure is logged again.
    let isNew = failures.fail(.level(other), error("x"), interval: second, at: 0)
    #expect(isNew)
  }
}
