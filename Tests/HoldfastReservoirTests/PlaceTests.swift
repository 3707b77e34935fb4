import Foundation
import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastReservoir

/// A reservoir notices that its path leads to other folders than those that it has open.
struct PlaceTests {
  private let size = ByteCount.mebibytes(4)

  /// Expects an error that names what has changed.
  private func expectChange(
    _ reservoir: Reservoir, _ words: String, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let error = #expect(throws: HoldfastError.self, sourceLocation: sourceLocation) {
      try reservoir.checkPlace()
    }
    #expect(error?.code == .noReservoir, sourceLocation: sourceLocation)
    #expect(
      error?.reason.contains(words) == true, "\(error?.reason ?? "")",
      sourceLocation: sourceLocation)
  }

  @Test func nothingChanges() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    try reservoir.checkPlace()
    _ = try reservoir.lease(size, "vm")
    _ = try reservoir.recycle(LeaseName("vm"))
    // A repeated init keeps the folders.
    _ = try place.reservoir()
    try reservoir.checkPlace()
  }

  @Test func removedAndCreatedAgain() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    try FileManager.default.removeItem(atPath: place.path + "/holdfast")
    expectChange(reservoir, "/holdfast is gone")
    let next = try place.reservoir(size)
    expectChange(reservoir, "/holdfast is another folder than before")
    try next.checkPlace()
  }

  @Test(arguments: ["ready", "leased"])
  func aFolderIsReplaced(_ name: String) throws {
    let place = try Place()
    let reservoir = try place.reservoir()
    try #require(rename(place.file(name), place.file("old")) == 0)
    expectChange(reservoir, "/holdfast/\(name) is gone")
    try #require(mkdir(place.file(name), 0o700) == 0)
    expectChange(reservoir, "/holdfast/\(name) is another folder")
    try #require(rmdir(place.file(name)) == 0 && symlink("old", place.file(name)) == 0)
    expectChange(reservoir, "/holdfast/\(name) is another folder")
  }

  @Test func withoutFilling() throws {
    let place = try Place()
    let reservoir = try place.reservoir()
    try #require(rmdir(place.file("filling")) == 0)
    expectChange(reservoir, "/holdfast/filling is gone")
    try #require(symlink("ready", place.file("filling")) == 0)
    expectChange(reservoir, "/holdfast/filling is a symbolic link")
  }

  @Test(.enabled(if: HostNeeds.isRoot, "needs root to mount"))
  func anotherMount() throws {
    let place = try Place(fileSystem: "tmpfs", size: .mebibytes(16))
    let reservoir = try place.reservoir(size)
    try #require(umount2(place.path, Int32(MNT_DETACH)) == 0)
    expectChange(reservoir, "/holdfast is gone")
    try #require(mount("holdfast-test", place.path, "tmpfs", 0, "size=16M,mode=0755") == 0)
    expectChange(reservoir, "/holdfast is gone")
    let next = try place.reservoir(size)
    expectChange(reservoir, "/holdfast is on another file system")
    try next.checkPlace()
    // The same file system, mounted at another path and back.
    try #require(umount2(place.path, Int32(MNT_DETACH)) == 0)
    expectChange(next, "/holdfast is gone")
  }
}
