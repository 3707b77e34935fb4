import Foundation
import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastReservoir

/// A foreign file in the folders does not stop other work.
struct StrayTests {
  private let size = ByteCount.mebibytes(4)

  /// Creates two dirty orphans of the calling user.
  private func orphans(_ place: Place, _ reservoir: Reservoir) throws {
    for name in ["a", "b"] {
      let lease = try reservoir.held(size, name)
      try Mapping(lease.receipt.path).dirty()
    }
  }

  @Test(.enabled(if: HostNeeds.isRoot, "needs root, which sees the leases of all users"))
  func foreignFilesInTheFolderOfLeases() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size, size, size)
    try orphans(place, reservoir)
    for make in [
      { close(open($0 + "/5", O_CREAT | O_RDWR, 0o600)) }, { mkdir($0 + "/6", 0o700) },
      { symlink("/", $0 + "/7") }, { mkdir($0 + "/007", 0o700) }, { mkdir($0 + "/x", 0o700) },
    ] as [(String) -> Int32] {
      #expect(make(place.file("leased")) == 0)
    }
    // The user's own folder, but open to other users.
    #expect(mkdir(place.file("leased/8"), 0o700) == 0 && chown(place.file("leased/8"), 8, 8) == 0)
    let status = try reservoir.status()
    #expect(status.foreign.count == 5 && status.leases.count == 2, "\(status.foreign)")
    let report = try reservoir.collect(CollectOptions(reuse: .scrub))
    #expect(report.foreign.count == 5 && report.recycled == 2 && report.failed.isEmpty)
    #expect(try reservoir.lease(size, "vm").receipt.size == size)
  }

  @Test func anOrphanThatCannotBeScrubbed() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size, size, size)
    try orphans(place, reservoir)
    // Far more than the process can map.
    #expect(truncate(place.file("leased/\(geteuid())/a.run"), 1 << 60) == 0)
    let report = try reservoir.collect(CollectOptions(reuse: .scrub))
    #expect(report.recycled == 1 && report.failed.count == 1)
    #expect(report.failed.first?.contains("/a.run: ") == true)
    #expect(try reservoir.counts() == ["4M 2 0 0"] && place.names("filling").isEmpty)
  }

  /// Such names become too long when they are read as UTF-8.
  @Test func namesThatAreNotUTF8() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size, size, size)
    try orphans(place, reservoir)
    for folder in ["leased/\(geteuid())", "ready"] {
      for count in [1, 100] {
        let name =
          place.file(folder).utf8CString.dropLast() + [0x2F] + Array(repeating: -1, count: count)
          + [0]
        #expect(close(open(Array(name), O_CREAT | O_RDWR, 0o600)) == 0)
      }
    }
    let report = try reservoir.collect(CollectOptions(reuse: .scrub))
    #expect(report.recycled == 2 && report.foreign.count == 4 && report.failed.isEmpty)
    #expect(try reservoir.status().foreign.count == 4)
    let drained = try reservoir.drain()
    #expect(drained.released == 3 && drained.foreign.count == 2 && drained.failed.isEmpty)
  }

  @Test func hugeSizes() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size, size, size)
    for name in place.names("ready") {
      #expect(truncate(place.file("ready/" + name), Int(Int64.max)) == 0)
    }
    #expect(try reservoir.status().foreign.count == 3)
    let report = try reservoir.drain()
    #expect(report.released == 3 && report.bytes == .mebibytes(12))

    try reservoir.fill([size, size, size])
    for name in ["a", "b", "c"] {
      let lease = try reservoir.held(size, name)
      #expect(truncate(lease.receipt.path, Int(Int64.max)) == 0)
    }
    let collected = try reservoir.collect(CollectOptions(reuse: .scrub))
    #expect(collected.released == 3 && collected.bytes >= .tebibytes(1))
    #expect(try reservoir.counts() == [])
  }

  /// A plain lease that is in use stays so for long, so a collection does not wait for it.
  @Test func oldLeasesInUseAreNotWaitedFor() throws {
    let place = try Place()
    let reservoir = try place.reservoir()
    try reservoir.fill(Array(repeating: size, count: 40))
    let mappings = try (0..<40).map { try Mapping(reservoir.lease(size, "vm\($0)").receipt.path) }
    let start = ContinuousClock.now
    #expect(try reservoir.collect(CollectOptions(age: .zero, reuse: .scrub)).inUse == 40)
    // It would take ten seconds to wait for each.
    #expect(ContinuousClock.now - start < .seconds(5))
    withExtendedLifetime(mappings) {}
  }
}

/// `init` on an existing reservoir.
@Suite(.enabled(if: HostNeeds.isRoot, "needs root, to have owners and groups"))
struct InitAgainTests {
  private let size = ByteCount.mebibytes(4)

  @Test func keepsTheGroup() throws {
    let place = try Place()
    _ = try place.reservoir(size, group: 65534)
    let again = try Reservoir.create(mount: place.path)
    #expect(again.group == 65534)
    #expect(try again.status().foreign.isEmpty)
    #expect(try again.lease(size, "vm").receipt.isExclusive)
  }

  @Test func refusesToMakeFilesUnusable() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    #expect(try Reservoir.create(mount: place.path, group: 65534).group == 65534)
    #expect(code { _ = try Reservoir.create(mount: place.path, owner: 65534) } == .busy)
    _ = try reservoir.lease(size, "vm")
    #expect(code { _ = try Reservoir.create(mount: place.path, owner: 65534) } == .busy)
    #expect(try reservoir.counts() == ["4M 0 1 0"] && reservoir.status().foreign.isEmpty)
    _ = try reservoir.release(LeaseName("vm"))
    #expect(try Reservoir.create(mount: place.path, group: 65534).group == 65534)
    #expect(try Reservoir.create(mount: place.path, group: 1).group == 1)
  }
}
