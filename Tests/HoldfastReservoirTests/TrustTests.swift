import Foundation
import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastReservoir

/// Files that the reservoir has not made are neither leased nor scrubbed; those in the folder of
/// ready files are put aside.
struct TrustTests {
  private let size = ByteCount.mebibytes(4)
  private static let id = "-0123456789abcdef"

  /// Creates a reservoir with one good file of 8 MiB, and a bad one of 4 MiB by its name.
  private func refuses(
    _ words: String, sourceLocation: SourceLocation = #_sourceLocation,
    plant: (_ path: String) throws -> Void
  ) throws {
    let place = try Place()
    let reservoir = try place.reservoir(.mebibytes(8))
    let path = place.file("ready/4M" + Self.id)
    try plant(path)
    let status = try reservoir.status()
    #expect(status.foreign.count == 1, sourceLocation: sourceLocation)
    #expect(status.foreign[0].contains(words), "\(status.foreign)", sourceLocation: sourceLocation)
    var request = LeaseRequest(size: size)
    request.isExact = true
    let error = #expect(throws: HoldfastError.self, sourceLocation: sourceLocation) {
      try reservoir.lease(request)
    }
    #expect(error?.code == .noReadyMemory, sourceLocation: sourceLocation)
    #expect(
      error?.reason.contains(words) == true, "\(error?.reason ?? "")",
      sourceLocation: sourceLocation)
    #expect(
      error?.reason.contains("moved to quarantine") == true, sourceLocation: sourceLocation)
    #expect(try reservoir.status().foreign.isEmpty, sourceLocation: sourceLocation)
    #expect(place.names("quarantine").count == 1, sourceLocation: sourceLocation)
    // The good file can be leased.
    _ = try reservoir.lease(.mebibytes(8), "vm")
    // A collection puts it aside too.
    try plant(path)
    let report = try reservoir.collect()
    #expect(report.quarantined.count == 1, sourceLocation: sourceLocation)
    #expect(
      report.quarantined.first?.contains(words) == true, "\(report.quarantined)",
      sourceLocation: sourceLocation)
    #expect(place.names("ready").isEmpty, sourceLocation: sourceLocation)
  }

  private func write(_ path: String, _ bytes: Int, _ mode: mode_t = 0o600) throws {
    let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    try #require(file >= 0)
    defer { close(file) }
    try #require(ftruncate(file, bytes) == 0 && fchmod(file, mode) == 0)
  }

  @Test func links() throws {
    try refuses("a symbolic link") { path in try #require(symlink("/etc/passwd", path) == 0) }
  }

  @Test func fifos() throws {
    try refuses("a FIFO") { path in try #require(mkfifo(path, 0o600) == 0) }
  }

  @Test func folders() throws {
    try refuses("a folder") { path in try #require(mkdir(path, 0o700) == 0) }
  }

  @Test func wrongSizes() throws {
    try refuses("but its name says") { path in try write(path, 8 << 20) }
  }

  @Test func filesThatOtherUsersMayOpen() throws {
    try refuses("allow access to other users") { path in try write(path, 4 << 20, 0o666) }
  }

  @Test func filesWithSeveralNames() throws {
    try refuses("2 names") { path in
      try write(path, 4 << 20)
      try #require(link(path, path + ".other") == 0)
      // The other name is foreign as well.
      let place = ((path as NSString).deletingLastPathComponent as NSString)
        .deletingLastPathComponent
      try #require(rename(path + ".other", place + "/\(UUID())") == 0)
    }
  }

  @Test(.enabled(if: HostNeeds.isRoot, "needs root to make another user's file"))
  func wrongOwners() throws {
    try refuses("user 65534 owns it") { path in
      try write(path, 4 << 20)
      try #require(chown(path, 65534, 65534) == 0)
    }
  }

  @Test func foreignFilesAmongLeases() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    _ = try reservoir.lease(size, "vm")
    let folder = place.file("leased/\(geteuid())")
    try #require(symlink("/etc/passwd", folder + "/link.run") == 0)
    try #require(mkfifo(folder + "/fifo.run", 0o600) == 0)
    try #require(mkdir(folder + "/folder", 0o700) == 0)
    try #require(symlink("/etc/passwd", place.file("filling/link")) == 0)
    let report = try reservoir.collect(CollectOptions(age: .zero, reuse: .scrub))
    #expect(report.foreign.count == 4 && report.removed == 0 && report.recycled == 1)
    #expect(code { _ = try reservoir.release(LeaseName("link")) } == .untrusted)
    #expect(
      code {
        _ = try reservoir.recycle(LeaseName("folder"), options: RecycleOptions(reuse: .scrub))
      } == .untrusted)
    #expect(place.names("leased/\(geteuid())").count == 3)
    #expect(place.names("filling") == ["link"])
    _ = try reservoir.drain()
    #expect(place.names("ready").isEmpty)
  }

  /// A container that runs as root on a member's lease can chown(2) its file. The lease is listed
  /// and ends as others do; a second name is no lease even so.
  @Test(
    .enabled(if: HostNeeds.isRoot, "needs root to make another user's file"),
    arguments: ["release", "collect"])
  func aMemberGivesItsFileAway(_ end: String) throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    _ = try reservoir.lease(size, "vm")
    let path = place.file("leased/65534/vm")
    try #require(mkdir(place.file("leased/65534"), 0o700) == 0)
    try #require(rename(place.file("leased/0/vm"), path) == 0 && chown(path, 1234, 1234) == 0)
    let status = try reservoir.status()
    #expect(status.leases.map(\.user) == [65534] && status.foreign.isEmpty, "\(status)")
    try #require(link(path, place.file("leased/65534/other")) == 0)
    #expect(try reservoir.status().leases.isEmpty)
    try #require(unlink(place.file("leased/65534/other")) == 0)
    if end == "release" {
      _ = try reservoir.release(LeaseName("vm"), user: 65534)
    } else {
      let report = try reservoir.collect(CollectOptions(age: .zero, reuse: .scrub))
      #expect(report.released == 1 && report.recycled == 0 && report.foreign.isEmpty, "\(report)")
    }
    #expect(place.names("leased/65534").isEmpty && place.names("ready").isEmpty)
  }

  @Test func foldersThatAreLinks() throws {
    for name in ["ready", "leased", "filling"] {
      let place = try Place()
      let reservoir = try place.reservoir(size)
      try #require(rename(place.file(name), place.file("old")) == 0)
      try #require(symlink("old", place.file(name)) == 0)
      if name != "filling" {
        #expect(code { _ = try Reservoir(mount: place.path) } == .untrusted)
      }
      #expect(code { _ = try Reservoir.create(mount: place.path) } != nil)
      if name == "filling" { #expect(code { try reservoir.fill([size]) } == .untrusted) }
    }
  }

  @Test func foldersThatAllUsersMayUse() throws {
    for name in ["", "ready", "leased"] {
      let place = try Place()
      _ = try place.reservoir(size)
      try #require(chmod(place.file(name), 0o777) == 0)
      #expect(code { _ = try Reservoir(mount: place.path) } == .untrusted)
      // Creating it again corrects the permissions.
      #expect(try Reservoir.create(mount: place.path).counts() == ["4M 1 0 0"])
    }
  }

  @Test func aUsersFolderThatOtherUsersMayEnter() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    try #require(mkdir(place.file("leased/\(geteuid())"), 0o700) == 0)
    try #require(chmod(place.file("leased/\(geteuid())"), 0o755) == 0)
    #expect(code { _ = try reservoir.lease(size, "vm") } == .untrusted)
    #expect(place.names("ready").count == 1)
  }

  @Test(.enabled(if: HostNeeds.isRoot, "needs root to make another user's folder"))
  func anotherUsersFolder() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    try #require(mkdir(place.file("leased/0"), 0o700) == 0)
    try #require(chown(place.file("leased/0"), 65534, 65534) == 0)
    #expect(code { _ = try reservoir.lease(size, "vm") } == .untrusted)
  }

  @Test(.enabled(if: HostNeeds.isRoot, "needs root to make another user's reservoir"))
  func anotherUsersReservoir() throws {
    let place = try Place()
    _ = try Reservoir.create(mount: place.path, owner: 65534)
    #expect(try Reservoir(mount: place.path).owner == 65534)
    // On a mount that all users may write to, any user could have created it.
    try #require(chmod(place.path, 0o1777) == 0)
    #expect(code { _ = try Reservoir(mount: place.path) } == .untrusted)
  }

  @Test func holesInReadyFiles() throws {
    try refuses("it has memory for 0 bytes of 4 MiB") { path in try write(path, 4 << 20) }
    let place = try Place()
    let reservoir = try place.reservoir(size, size)
    let path = place.file("ready/" + place.names("ready")[0])
    #expect(truncate(path, 1 << 20) == 0 && truncate(path, 4 << 20) == 0)
    _ = try reservoir.lease(size, "a")
    #expect(code { _ = try reservoir.lease(size, "b") } == .noReadyMemory)
    #expect(place.names("quarantine").count == 1 && place.names("ready").isEmpty)
    #expect(try reservoir.drain().removed == 1 && place.names("quarantine").isEmpty)
  }

  /// A file that was in use when its lease failed does not become ready again.
  @Test func readyFilesThatAProcessHasOpen() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    let path = place.file("ready/\(place.names("ready")[0])")
    let file = open(path, O_RDONLY | O_CLOEXEC)
    let error = #expect(throws: HoldfastError.self) { try reservoir.lease(size, "vm") }
    #expect(error?.code == .noReadyMemory && error?.reason.contains("has it open") == true)
    #expect(try reservoir.counts() == [])
    close(file)
    try reservoir.fill([size])
    let receipt = try reservoir.lease(size, "vm").receipt
    #expect(receipt.isExclusive)
    // Afterwards no other user can open it, not even with an O_PATH descriptor.
    var status = stat()
    #expect(stat(receipt.path, &status) == 0 && status.st_mode & 0o777 == 0o600)
    #expect(
      try reservoir.recycle(LeaseName("vm"), options: RecycleOptions(reuse: .scrub))
        == .recycled(size))
    #expect(try reservoir.status().foreign.isEmpty)
    _ = try reservoir.lease(size, "again")
  }
}
