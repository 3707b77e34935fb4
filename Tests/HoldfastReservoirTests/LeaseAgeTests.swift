import HoldfastLinux
import Testing

@testable import HoldfastReservoir

/// The age of a lease whatever happens to the clock that can be set.
struct LeaseAgeTests {
  private let day: Int64 = 86400
  /// The host was booted 30 days ago.
  private var now: HostClock { HostClock(real: 1_800_000_000, boot: 30 * day) }

  private func age(changed: Int64, modified: Int64) -> Int64? {
    LeaseAge.seconds(changed: changed, modified: modified, at: now)
  }

  @Test func aClockThatWasNotSet() {
    for seconds in [0, 1, day, 30 * day] {
      #expect(age(changed: now.real - seconds, modified: now.boot - seconds) == seconds)
      // A lease of a program before 0.2, or one whose monitor wrote to the file by write(2).
      #expect(age(changed: now.real - seconds, modified: now.real - seconds) == seconds)
    }
  }

  @Test func aClockThatWasSetForward() {
    // By ten days: less than the time since the boot, so that only the mark says.
    #expect(age(changed: now.real - 10 * day, modified: now.boot - 5) == 5)
    // By years, as after a boot without a battery.
    #expect(age(changed: 100, modified: now.boot - 5) == 5)
    #expect(age(changed: 100, modified: 1_700_000_000) == nil)
    #expect(age(changed: now.real - 31 * day, modified: 0) == nil)
  }

  /// A service knows by how much the clock was set while it ran.
  @Test func aClockThatWasSetForwardByAKnownTime() {
    func age(changed: Int64, modified: Int64, advance: Int64) -> Int64? {
      LeaseAge.seconds(changed: changed, modified: modified, at: now, advance: advance)
    }
    #expect(age(changed: now.real - 10 * day, modified: 0, advance: 9 * day) == day)
    #expect(age(changed: now.real - 10 * day, modified: 0, advance: 11 * day) == 0)
    // A lease with a mark is as old as the mark says.
    let modified = now.boot - 2 * day
    #expect(age(changed: now.real - 10 * day, modified: modified, advance: 9 * day) == 2 * day)
  }

  @Test func aClockThatWasSetBack() {
    #expect(age(changed: now.real + 10 * day, modified: now.boot - 5) == 5)
    #expect(age(changed: now.real + 10 * day, modified: now.real + 10 * day) == 0)
    #expect(age(changed: now.real + 1, modified: 0) == 0)
    // By less than the lease's age: the younger age counts.
    #expect(age(changed: now.real - 2 * day, modified: now.boot - 10 * day) == 2 * day)
  }

  /// A monitor may set the time of the last modification.
  @Test func aMarkThatIsForged() {
    #expect(age(changed: now.real - 5, modified: 1) == 5)
    #expect(age(changed: now.real - 5, modified: now.boot) == 0)
    for modified in [Int64.min, -1, 0, now.boot + 1, .max] {
      #expect(age(changed: now.real - 5, modified: modified) == 5)
    }
    for changed in [Int64.min, -1, .max] {
      for modified in [Int64.min, 0, .max] { _ = age(changed: changed, modified: modified) }
    }
  }
}
