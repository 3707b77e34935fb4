import Foundation
import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastReservoir

/// Files that dead processes leave behind, and files that only look like them.
struct OrphanTests {
  private let size = ByteCount.mebibytes(4)

  @Test func unlockedFillingsAreRemoved() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    for name in ["0123456789abcdef", "anything"] {
      #expect(FileManager.default.createFile(atPath: place.file("filling/\(name)"), contents: nil))
    }
    let live = open(place.file("filling/live"), O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    defer { close(live) }
    #expect(flock(live, LOCK_EX) == 0)
    let report = try reservoir.collect(CollectOptions(reuse: .scrub))
    #expect(report.removed == 2 && report.live == 1)
    #expect(place.names("filling") == ["live"])
    #expect(try reservoir.fill([size]).removed == 0)
  }

  /// A monitor may make its file longer; a scrub would populate all of it.
  @Test(.enabled(if: HostNeeds.isRoot, "needs root, to mount a tmpfs"), arguments: [40, 62])
  func aFileLongerThanAnyMemoryIsNotPopulated(_ shift: UInt64) throws {
    let place = try Place(fileSystem: "tmpfs", size: .mebibytes(16))
    let reservoir = try place.reservoir(size, size)
    for name in ["held", "plain"] {
      let lease = try name == "held" ? reservoir.held(size, name) : reservoir.lease(size, name)
      #expect(truncate(lease.receipt.path, off_t(1) << off_t(shift)) == 0)
    }
    let report = try reservoir.collect(CollectOptions(reuse: .scrub))
    #expect(report.recycled == 0 && report.failed.count == 1, "\(report)")
    #expect(place.names("leased/\(geteuid())") == ["plain"] && place.names("filling").isEmpty)
    #expect(place.used <= size + .mebibytes(1))
    // The leased size is there.
    var options = RecycleOptions(reuse: .scrub)
    options.size = size
    #expect(try reservoir.recycle(LeaseName("plain"), options: options) == .recycled(size))
    #expect(place.used <= size + .mebibytes(1))
  }

  @Test func aHeldLeaseLastsAsLongAsItsLock() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    var lease: Lease? = try reservoir.held(size, "vm")
    let path = try #require(lease?.receipt.path)
    #expect(path.hasSuffix("/vm.run"))
    try Mapping(path).dirty()
    let descriptor = try #require(lease?.descriptor)
    // Like a monitor that inherited it.
    let inherited = dup(descriptor)
    lease = nil
    #expect(try reservoir.collect(CollectOptions(reuse: .scrub)).live == 1)
    #expect(code { _ = try reservoir.release(LeaseName("vm")) } == .busy)
    #expect(
      code { _ = try reservoir.recycle(LeaseName("vm"), options: RecycleOptions(reuse: .scrub)) }
        == .busy)
    #expect(try reservoir.counts() == ["4M 0 1 0"])
    close(inherited)
    let report = try reservoir.collect(CollectOptions(reuse: .scrub))
    #expect(report.recycled == 1 && report.live == 0)
    #expect(try reservoir.counts() == ["4M 1 0 0"])
    #expect(try Mapping(place.file("ready/\(place.names("ready")[0])")).isZero)
  }

  @Test func anOrphanThatIsStillMappedIsReleased() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    var lease: Lease? = try reservoir.held(size, "vm")
    let mapping = try Mapping(#require(lease?.receipt.path))
    mapping.dirty()
    lease = nil
    var options = CollectOptions(reuse: .scrub)
    options.recycling.timeout = .milliseconds(5)
    let report = try reservoir.collect(options)
    #expect(report.released == 1 && report.recycled == 0)
    #expect(try reservoir.counts() == [])
    #expect(mapping.start.load(as: UInt8.self) == 0xA5)
  }

  @Test func plainLeasesAreCollectedByAgeAlone() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size, size)
    _ = try reservoir.lease(size, "idle")
    let mapping = try Mapping(reservoir.lease(size, "busy").receipt.path)
    #expect(try reservoir.collect(CollectOptions(reuse: .scrub)) == CollectReport())
    #expect(
      try reservoir.collect(CollectOptions(age: .seconds(3600), reuse: .scrub)) == CollectReport())
    var options = CollectOptions(age: .zero, reuse: .scrub)
    options.recycling.timeout = .milliseconds(5)
    let report = try reservoir.collect(options)
    #expect(report.recycled == 1 && report.inUse == 1)
    #expect(try reservoir.counts() == ["4M 1 1 0"])
    options.recycling.reuse = .release
    #expect(try reservoir.collect(options).inUse == 1)
    withExtendedLifetime(mapping) {}
  }

  @Test func collectingCanBeCancelledBetweenFiles() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size, size)
    for name in ["a", "b"] { _ = try reservoir.held(size, name) }
    let token = CancellationToken()
    token.cancel()
    #expect(
      try reservoir.collect(CollectOptions(reuse: .scrub), cancellation: token) == CollectReport())
    #expect(try reservoir.counts() == ["4M 0 2 0"])
    #expect(try reservoir.collect(CollectOptions(reuse: .scrub)).recycled == 2)
  }

  @Test func collectsWhileOthersLease() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size, size, size)
    let size = size
    let errors = inParallel(4) { number in
      for round in 0..<40 {
        if number == 0 {
          let report = try reservoir.collect(CollectOptions(reuse: .scrub))
          #expect(report.foreign.isEmpty)
          continue
        }
        let name = try LeaseName("vm\(number)-\(round)")
        var request = LeaseRequest(size: size, name: name)
        request.isHeld = true
        request.timeout = .seconds(20)
        let lease = try reservoir.lease(request)
        let mapping = try Mapping(lease.receipt.path)
        #expect(mapping.isZero)
        mapping.dirty()
        #expect(code { _ = try reservoir.release(name) } == .busy)
        withExtendedLifetime(lease) {}
        // A collection may release a file that it cannot prove unshared, so more is filled.
        _ = try? reservoir.fill(FillPlan([.init(count: 1, size: size)]))
      }
    }
    for error in errors { #expect(error == nil) }
    #expect(try reservoir.collect(CollectOptions(reuse: .scrub)).live == 0)
    #expect(try reservoir.status().rows.allSatisfy { $0.leased == 0 && $0.filling == 0 })
    for name in place.names("ready") {
      #expect(try Mapping(place.file("ready/\(name)")).isZero)
    }
  }

  @Test(arguments: [false, true], [false, true])
  func eightLeasersOverFourFiles(_ isHeld: Bool, _ hasGroup: Bool) throws {
    let size = size
    for _ in 0..<20 {
      let place = try Place()
      let reservoir = try place.reservoir(
        size, size, size, size, group: hasGroup ? getegid() : nil)
      let leases = LeaseBox()
      let errors = inParallel(8) { number in
        var request = LeaseRequest(size: size, name: try LeaseName("vm\(number)"))
        request.isHeld = isHeld
        leases.add(try reservoir.lease(request))
      }
      let codes = errors.compactMap { ($0 as? HoldfastError)?.code }
      #expect(codes == [.noReadyMemory, .noReadyMemory, .noReadyMemory, .noReadyMemory])
      let inodes = leases.all.map { lease in
        var status = stat()
        #expect(fstat(lease.descriptor, &status) == 0)
        return status.st_ino
      }
      #expect(Set(inodes).count == 4 && inodes.count == 4)
      #expect(try reservoir.counts() == ["4M 0 4 0"])
    }
  }
}

private final class LeaseBox: @unchecked Sendable {
  private let lock = NSLock()
  private(set) var all: [Lease] = []
  func add(_ lease: Lease) { lock.withLock { all.append(lease) } }
}
