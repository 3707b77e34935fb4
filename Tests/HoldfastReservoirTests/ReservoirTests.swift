import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastReservoir

struct ReservoirTests {
  private let small = ByteCount.mebibytes(4)
  private let large = ByteCount.mebibytes(12)

  @Test func fillsToALevel() throws {
    let place = try Place()
    let reservoir = try place.reservoir()
    let plan = FillPlan([.init(count: 2, size: small), .init(count: 1, size: large)])
    let first = try reservoir.fill(plan)
    #expect(first.made == plan.parts && first.found == 0)
    #expect(first.bytes == .mebibytes(20))
    let second = try reservoir.fill(plan)
    #expect(second.made.isEmpty && second.found == 3)
    _ = try reservoir.lease(small, "vm")
    let third = try reservoir.fill(plan)
    #expect(third.made == [.init(count: 1, size: small)] && third.found == 2)
    #expect(try reservoir.counts() == ["12M 1 0 0", "4M 2 1 0"])
    for name in place.names("ready") {
      #expect(try Mapping(place.file("ready/\(name)")).isZero)
    }
    var addition = plan
    addition.isAddition = true
    _ = try reservoir.fill(addition)
    #expect(try reservoir.counts() == ["12M 2 0 0", "4M 4 1 0"])
  }

  @Test func aCancelledFillKeepsWhatIsReady() throws {
    let place = try Place()
    let reservoir = try place.reservoir()
    let size = ByteCount.mebibytes(8)
    let token = CancellationToken()
    let error = #expect(throws: HoldfastError.self) {
      try reservoir.fill(FillPlan([.init(count: 4, size: size)]), cancellation: token) {
        if $0.done > size + size { token.cancel() }
      }
    }
    #expect(error?.code == .cancelled)
    #expect(try reservoir.counts() == ["8M 2 0 0"])
    #expect(place.names("filling").isEmpty)
  }

  @Test func fillsWaitForEachOther() throws {
    let place = try Place()
    let reservoir = try place.reservoir()
    let plan = FillPlan([.init(count: 3, size: small)])
    let errors = inParallel(4) { _ in _ = try reservoir.fill(plan) }
    for error in errors { #expect(error == nil) }
    #expect(try reservoir.counts() == ["4M 3 0 0"])
    // A fill that waits can be cancelled.
    let folder = open(place.file("filling"), O_RDONLY | O_CLOEXEC)
    defer { close(folder) }
    #expect(flock(folder, LOCK_EX) == 0)
    let token = CancellationToken()
    #expect(
      code { _ = try reservoir.fill(plan, cancellation: token) { _ in token.cancel() } }
        == .cancelled)
  }

  @Test func leasesExactlyThenBestFit() throws {
    let place = try Place()
    let reservoir = try place.reservoir(small, large, .mebibytes(8))
    let exact = try reservoir.lease(small, "a").receipt
    #expect(exact.size == small && exact.trimmed == .zero && exact.isExclusive)
    #expect(exact.path == place.file("leased/\(geteuid())/a"))
    let cut = try reservoir.lease(small, "b").receipt
    #expect(cut.trimmed == .mebibytes(4) && cut.size == small)
    var status = stat()
    #expect(stat(cut.path, &status) == 0 && status.st_size == 4 << 20)
    var request = LeaseRequest(size: small)
    request.isExact = true
    #expect(code { _ = try reservoir.lease(request) } == .noReadyMemory)
    #expect(try reservoir.counts() == ["12M 1 0 0", "4M 0 2 0"])
  }

  @Test func extendsASmallerFile() throws {
    let place = try Place()
    let reservoir = try place.reservoir(small, .mebibytes(8))
    var request = LeaseRequest(size: large, name: try LeaseName("vm"))
    #expect(code { _ = try reservoir.lease(request) } == .noReadyMemory)
    request.grows = true
    let receipt = try reservoir.lease(request).receipt
    #expect(receipt.grown == .mebibytes(4) && receipt.size == large)
    let mapping = try Mapping(receipt.path)
    #expect(mapping.length == 12 << 20 && mapping.isZero)
    #expect(try reservoir.counts() == ["12M 0 1 0", "4M 1 0 0"])
  }

  @Test func aFailedExtensionLosesNothing() throws {
    let place = try Place()
    let reservoir = try place.reservoir(small)
    var request = LeaseRequest(size: .tebibytes(1 << 22), name: try LeaseName("vm"))
    request.grows = true
    #expect(code { _ = try reservoir.lease(request) } != nil)
    #expect(try reservoir.counts() == ["4M 1 0 0"])
    #expect(try Mapping(place.file("ready/\(place.names("ready")[0])")).length == 4 << 20)
  }

  @Test func aNameIsUnique() throws {
    let place = try Place()
    let reservoir = try place.reservoir(small, small, small)
    _ = try reservoir.lease(small, "vm")
    #expect(code { _ = try reservoir.lease(small, "vm") } == .alreadyExists)
    #expect(code { _ = try reservoir.held(small, "vm") } == .alreadyExists)
    let held = try reservoir.held(small, "other")
    #expect(code { _ = try reservoir.lease(small, "other") } == .alreadyExists)
    #expect(try reservoir.counts() == ["4M 1 2 0"])
    withExtendedLifetime(held) {}
  }

  @Test func releases() throws {
    let place = try Place()
    let reservoir = try place.reservoir(small)
    _ = try reservoir.lease(small, "vm")
    let name = try LeaseName("vm")
    #expect(try reservoir.release(name) == .released(small, reason: nil))
    #expect(code { _ = try reservoir.release(name) } == .noLease)
    #expect(
      code { _ = try reservoir.recycle(name, options: RecycleOptions(reuse: .scrub)) } == .noLease)
    #expect(try reservoir.counts() == [])
  }

  @Test func recyclingScrubs() throws {
    let place = try Place()
    let reservoir = try place.reservoir(large)
    let path = try reservoir.lease(large, "vm").receipt.path
    do {
      let mapping = try Mapping(path)
      mapping.dirty()
    }
    let options = RecycleOptions(reuse: .scrub, verifies: true)
    #expect(try reservoir.recycle(LeaseName("vm"), options: options) == .recycled(large))
    #expect(try reservoir.counts() == ["12M 1 0 0"])
    #expect(try Mapping(place.file("ready/\(place.names("ready")[0])")).isZero)
  }

  @Test func recyclingFillsHoles() throws {
    let place = try Place()
    let reservoir = try place.reservoir(large)
    let path = try reservoir.lease(large, "vm").receipt.path
    try Mapping(path).dirty()
    #expect(truncate(path, 4096) == 0 && truncate(path, 8 << 20) == 0)
    #expect(
      try reservoir.recycle(LeaseName("vm"), options: RecycleOptions(reuse: .scrub))
        == .recycled(.mebibytes(8)))
    let ready = place.file("ready/\(place.names("ready")[0])")
    var status = stat()
    #expect(stat(ready, &status) == 0 && status.st_blocks * 512 >= 8 << 20)
    #expect(try Mapping(ready).isZero)
  }

  @Test func filesThatAreOpenElsewhereAreNotRecycled() throws {
    let place = try Place()
    let reservoir = try place.reservoir(small, small)
    let name = try LeaseName("vm")
    let path = try reservoir.lease(small, "vm").receipt.path
    let mapping = try Mapping(path)
    mapping.dirty()
    var options = RecycleOptions(reuse: .scrub)
    options.timeout = .milliseconds(5)
    #expect(code { _ = try reservoir.recycle(name, options: options) } == .busy)
    #expect(try reservoir.counts() == ["4M 1 1 0"])
    // A descriptor counts like a mapping, even a read-only one.
    let file = open(try reservoir.lease(small, "other").receipt.path, O_RDONLY)
    #expect(code { _ = try reservoir.recycle(LeaseName("other"), options: options) } == .busy)
    close(file)
    let end = try reservoir.recycle(name, otherwise: .release, options: options)
    guard case .released(small, .some) = end else {
      Issue.record("\(end)")
      return
    }
    #expect(mapping.start.load(as: UInt8.self) == 0xA5)
    #expect(try reservoir.counts() == ["4M 0 1 0"])
  }

  @Test func drainingKeepsLeases() throws {
    let place = try Place()
    let reservoir = try place.reservoir(small, small, large)
    _ = try reservoir.lease(small, "vm")
    let report = try reservoir.drain()
    #expect(report.released == 2 && report.bytes == small + large)
    #expect(try reservoir.counts() == ["4M 0 1 0"])
  }

  @Test func waitsForMemory() throws {
    let place = try Place()
    let reservoir = try place.reservoir()
    var request = LeaseRequest(size: small)
    request.timeout = .milliseconds(30)
    let start = ContinuousClock.now
    #expect(code { _ = try reservoir.lease(request) } == .noReadyMemory)
    #expect(ContinuousClock.now - start >= .milliseconds(30))
    request.timeout = .seconds(60)
    let waiting = request
    let small = small
    let error = both {
      _ = try reservoir.lease(waiting)
    } and: {
      usleep(20_000)
      try reservoir.fill([small])
    }
    #expect(error == nil)
  }

  @Test(arguments: ["", "a/b", "..", ".", "a.b", "a\nb", "vm.run", "é", "a b", "-\0", "~"])
  func hostileNames(_ name: String) {
    #expect(code { _ = try LeaseName(name) } == .invalidArgument)
  }

  @Test func theLongestName() throws {
    let place = try Place()
    let reservoir = try place.reservoir(small)
    let longest = String(repeating: "a", count: LeaseName.longest)
    #expect(code { _ = try LeaseName(longest + "a") } == .invalidArgument)
    _ = try reservoir.held(small, longest)
  }

  @Test func readyNames() {
    for (size, node) in [
      (ByteCount.gibibytes(10), nil), (.mebibytes(3), NodeID(12)), (.kibibytes(4), nil),
    ] {
      let name = ReadyName(size: size, node: node)
      #expect(ReadyName(name.text) == name)
    }
    for text in [
      "", "10G", "10G-", "10G-0123", "1024M-0123456789abcdef", "0G-0123456789abcdef",
      "+1G-0123456789abcdef", "1G@-0123456789abcdef", "1G@01-0123456789abcdef",
      "99999999999999999999G-0123456789abcdef", "1G-0123456789abcde/", "1G-0123456789abcdeé",
    ] {
      #expect(ReadyName(text) == nil, "\(text)")
    }
  }

  @Test func sizesThatAreNotMultiplesOfThePageSize() throws {
    let place = try Place()
    let reservoir = try place.reservoir(small)
    for size in [ByteCount(1), ByteCount(4097), .zero, ByteCount(.max)] {
      #expect(code { _ = try reservoir.lease(LeaseRequest(size: size)) } == .invalidArgument)
      #expect(code { try reservoir.fill([size]) } == .invalidArgument)
    }
    #expect(
      code {
        _ = try reservoir.fill(FillPlan([.init(count: .max, size: .tebibytes(1))]))
      } == .invalidArgument)
    #expect(
      code { _ = try reservoir.fill(FillPlan([.init(count: 0, size: small)])) } == .invalidArgument)
  }

  @Test func moreMemoryThanTheHostHas() throws {
    let place = try Place()
    let reservoir = try place.reservoir()
    #expect(code { try reservoir.fill([.tebibytes(999)]) } == .resourceShortage)
    #expect(place.names("filling").isEmpty)
  }

  @Test func aFolderWithoutAReservoir() throws {
    let place = try Place()
    #expect(code { _ = try Reservoir(mount: place.path) } == .noReservoir)
    #expect(code { _ = try Reservoir(mount: place.path + "/none") } == .noReservoir)
    #expect(code { _ = try Reservoir(mount: "/proc") } == .noReservoir)
    #expect(code { _ = try Reservoir.create(mount: "/proc") } == .noReservoir)
  }
}
