import Foundation
import Glibc
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

@testable import HoldfastReservoir

/// Folders with more names than one listing reads, and more folders than a process has descriptors.
struct BoundTests {
  private let size = ByteCount.mebibytes(4)

  /// Creates empty files in a folder.
  private func create(_ count: Int, in folder: String, _ name: (String) -> String) throws {
    let file = open(folder, O_DIRECTORY | O_RDONLY | O_CLOEXEC)
    try #require(file >= 0)
    defer { close(file) }
    for number in 0..<count {
      let digits = String(number, radix: 16)
      let name = name(String(repeating: "0", count: 16 - digits.count) + digits)
      try #require(mknodat(file, name, S_IFREG | 0o600, 0) == 0, "\(errno)")
    }
  }

  /// A mount of its own, since it is unmounted sooner than its files are removed.
  private func place() throws -> Place {
    try Place(fileSystem: "tmpfs", size: .mebibytes(64))
  }

  private func time(_ body: () throws -> Void) rethrows -> Duration {
    let start = ContinuousClock.now
    try body()
    return ContinuousClock.now - start
  }

  @Test(.enabled(if: HostNeeds.isRoot, "needs root to mount"))
  func manyNamesOfOtherForms() throws {
    let place = try place()
    let reservoir = try place.reservoir(size, size)
    let count = Reservoir.mostNames + 1000
    // The kernel returns the newest names first.
    try create(count, in: place.file("ready")) { "x" + $0 }
    _ = try reservoir.lease(size, "vm")
    let status = try reservoir.status()
    #expect(status.foreign.contains { $0.contains("it has more than 65536 names; the others") })
    #expect(status.foreign.count <= Reservoir.mostNames + 1)
    // Names that no ready file has do not hide the files.
    #expect(try reservoir.counts() == ["4M 1 1 0"])
    let report = try reservoir.fill(FillPlan([.init(count: 1, size: size)]))
    #expect(report.found == 1 && report.bytes == .zero)
  }

  @Test(.enabled(if: HostNeeds.isRoot, "needs root to mount"))
  func manyReadyNames() throws {
    let place = try place()
    let reservoir = try place.reservoir(size, size, size)
    _ = try reservoir.lease(size, "first")
    let count = Reservoir.mostNames + 1000
    try create(count, in: place.file("ready")) { "8M-" + $0 }
    // Without a file that will do, within the bound and with one line.
    let error = #expect(throws: HoldfastError.self) { try reservoir.lease(.mebibytes(8), "vm") }
    #expect(error?.code == .noReadyMemory && error?.reason.contains("\n") == false)
    // The level cannot be counted, so nothing is filled.
    #expect(code { try reservoir.fill([size]) } == nil)
    let plan = FillPlan([.init(count: 4, size: size)])
    #expect(code { _ = try reservoir.fill(plan) } == .host)

    // Files of the size are found among others; a lease reads the folder and sorts nothing.
    let all = try time { _ = try reservoir.ready.names() }
    let lease = try time { _ = try reservoir.lease(size, "vm") }
    #expect(lease < all, "\(lease) for a lease, \(all) for all names")
    // Where the first names will do, it reads no others.
    try reservoir.fill([size])
    let quick = try time { _ = try reservoir.lease(size, "quick") }
    #expect(quick < all / 10, "\(quick) for a lease, \(all) for all names")
  }

  @Test func manyNamesOfLeases() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size, size)
    _ = try reservoir.lease(size, "vm")
    try create(3000, in: place.file("leased/\(geteuid())")) { "vm-" + $0 }
    #expect(code { _ = try reservoir.lease(size, "vm") } == .alreadyExists)
    _ = try reservoir.release(LeaseName("vm"))
    _ = try reservoir.lease(size, "vm")
  }

  @Test(.enabled(if: HostNeeds.isRoot, "needs root, which sees the leases of all users"))
  func oneFolderAtATime() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size, size)
    _ = try reservoir.held(size, "orphan")
    for user in 10_000..<10_300 {
      let folder = place.file("leased/\(user)")
      try #require(mkdir(folder, 0o700) == 0)
      try create(1, in: folder) { "x." + $0 }
      try #require(chown(folder, uid_t(user), uid_t(user)) == 0)
    }
    let most = Most()
    let report = try reservoir.collect { most.note(place.file("leased/")) }
    #expect(report.replaced == 1 && report.failed.isEmpty && report.foreign.count == 300)
    #expect((1...2).contains(most.value), "\(most.value) folders were open at once")
    #expect(try reservoir.status().foreign.count == 300)
  }

  @Test(.enabled(if: HostNeeds.isRoot, "needs root, which sees the leases of all users"))
  func aCollectionInParts() throws {
    let place = try Place()
    let sizes = Array(repeating: size, count: 6)
    let reservoir = try place.reservoir()
    try reservoir.fill(sizes)
    for number in 0..<6 { _ = try reservoir.held(size, "orphan\(number)") }
    var options = CollectOptions()
    options.limit = .zero
    let none = try reservoir.collect(options)
    #expect(none.isCutShort && none.replaced == 0)
    options.limit = .seconds(3600)
    let all = try reservoir.collect(options)
    #expect(!all.isCutShort && all.replaced == 6)
  }
}

/// The largest number of folders that the process had open below a path.
private final class Most: @unchecked Sendable {
  private let lock = NSLock()
  private(set) var value = 0

  func note(_ path: String) {
    let files = FileManager.default
    let open = ((try? files.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []).count {
      (try? files.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + $0))?.hasPrefix(path) == true
    }
    lock.withLock { value = max(value, open) }
  }
}
