import Foundation
import Glibc
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

@testable import HoldfastReservoir

/// A reservoir on real huge pages, on a separate mount, so that every page is accounted for.
///
/// One at a time: all take the lock of the huge pages, and a test that waits keeps a thread from
/// others.
@Suite(
  .serialized,
  .enabled(
    if: HostNeeds.isRoot && HostNeeds.hugePages(.mebibytes(64)),
    "needs root and \(HostNeeds.hugePagesComment)"))
struct HugetlbTests {
  private let size = ByteCount.mebibytes(8)
  private let large = ByteCount.mebibytes(16)
  private let pool = HugePagePool(size: .mebibytes(2))
}

extension HugetlbTests {
  @Test func aWholeLife() throws {
    try HugePageLock.withLock {
      let place = try Place(fileSystem: "hugetlbfs", size: .mebibytes(48))
      let reservoir = try place.reservoir(size, size, large)
      #expect(reservoir.isHugetlb && reservoir.pageSize == .mebibytes(2))
      #expect(place.used == .mebibytes(32))
      #expect(try reservoir.status().freePages != nil)
      // Truncated: the rest returns to the pool at once.
      let cut = try reservoir.lease(.mebibytes(12), "cut").receipt
      #expect(cut.trimmed == .mebibytes(4) && place.used == .mebibytes(28))
      do {
        let mapping = try Mapping(cut.path)
        #expect(mapping.isZero)
        mapping.dirty()
        var options = RecycleOptions(reuse: .scrub)
        options.timeout = .milliseconds(5)
        #expect(code { _ = try reservoir.recycle(LeaseName("cut"), options: options) } == .busy)
      }
      let options = RecycleOptions(reuse: .scrub, verifies: true)
      let end = try reservoir.recycle(LeaseName("cut"), options: options)
      #expect(end == .recycled(.mebibytes(12)))
      #expect(place.used == .mebibytes(28))
      let again = try reservoir.lease(.mebibytes(12), "again").receipt
      #expect(try Mapping(again.path).isZero)
      #expect(again.trimmed == .zero)
      var request = LeaseRequest(size: .mebibytes(10))
      request.grows = true
      #expect(try reservoir.lease(request).receipt.grown == .mebibytes(2))
      #expect(place.used == .mebibytes(30))
      _ = try reservoir.release(LeaseName("again"))
      #expect(place.used == .mebibytes(18))
      _ = try reservoir.drain()
      #expect(place.used == .mebibytes(10))
    }
  }

  @Test func aFullMount() throws {
    try HugePageLock.withLock {
      let place = try Place(fileSystem: "hugetlbfs", size: .mebibytes(20))
      let reservoir = try place.reservoir(size)
      let error = #expect(throws: HoldfastError.self) { try reservoir.fill([large]) }
      #expect(error?.code == .resourceShortage)
      #expect(error?.reason.contains("16 MiB is needed") == true, "\(error?.reason ?? "")")
      var request = LeaseRequest(size: .mebibytes(24))
      request.grows = true
      #expect(code { _ = try reservoir.lease(request) } == .resourceShortage)
      #expect(try reservoir.counts() == ["8M 1 0 0"])
      #expect(place.used == size && place.names("filling").isEmpty)
    }
  }

  @Test func aFullPool() throws {
    try HugePageLock.withLock {
      let place = try Place(fileSystem: "hugetlbfs", size: .tebibytes(1))
      let reservoir = try place.reservoir()
      let available = try pool.available.rawValue
      let error = #expect(throws: HoldfastError.self) {
        try reservoir.fill([ByteCount((available + 50_000) << 21)])
      }
      #expect(error?.code == .resourceShortage)
      #expect(
        error?.reason.contains("huge pages of 2 MiB are needed, but") == true,
        "\(error?.reason ?? "")")
      #expect(place.names("filling").isEmpty && place.used == .zero)
    }
  }

  @Test func fillsRaiseThePoolByTheMissingPages() throws {
    try HugePageLock.withLock {
      let place = try Place(fileSystem: "hugetlbfs", size: .tebibytes(1))
      let reservoir = try place.reservoir()
      // A mapping that is never accessed reserves all free pages except four.
      let available = try pool.available.rawValue
      let length = Int(available - min(available, 4)) << 21
      let promised = mmap(
        nil, max(length, 4096), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS | (length > 0 ? MAP_HUGETLB | 21 << 26 : 0), -1, 0)
      try #require(promised != MAP_FAILED)
      defer { munmap(promised, max(length, 4096)) }
      let plan = FillPlan([.init(count: 3, size: size)])
      #expect(code { _ = try reservoir.fill(plan) } == .resourceShortage)
      var options = FillOptions(reservesHugePages: true)
      let token = CancellationToken()
      let cancelled = #expect(throws: HoldfastError.self) {
        try reservoir.fill(plan, options: options, cancellation: token) {
          if $0.done.rawValue > 8 << 20 { token.cancel() }
        }
      }
      #expect(cancelled?.code == .cancelled)
      #expect(try reservoir.counts() == ["8M 1 0 0"])
      options.threads = 1
      let report = try reservoir.fill(plan, options: options)
      #expect(report.reserved.rawValue > 0 && report.reserved.rawValue <= 8)
      #expect(place.used == .mebibytes(24))
      #expect(try reservoir.drain().released == 3)
      // Lowers the pool again.
      let now = try #require(try pool.counts().total).rawValue
      let added = report.reserved.rawValue
      try HostFiles.replaceContents(of: pool.path, with: "\(now - added)")
    }
  }
}
