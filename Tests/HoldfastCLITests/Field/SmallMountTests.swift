import Foundation
import HoldfastTestKit
import Testing

extension FieldTests {
  /// A file system that has less room than a lease that grows asks for.
  @Suite(.enabled(if: HostNeeds.isRoot, "needs root, to mount file systems"))
  struct SmallMountTests {
    @Test(arguments: ["1T", "128M", "65M"])
    func `a lease that grows does not fill the mount`(_ size: String) throws {
      let place = try ReservoirPlace(fileSystem: "tmpfs", size: 64 << 20)
      try place.get("reservoir", "fill", "1x8M")
      let lease = try place.start(["reservoir", "lease", "--size", size, "--grow"])
      let outcome = try lease.wait()
      outcome.expectFailure(1, "the size limit of the file system at \(place.path) leaves")
      #expect(!outcome.error.contains("Bad address"), "\(outcome)")
      #expect(try place.rows() == ["8M 1 0 0"])
      // The rest of the mount is still free.
      try place.get("reservoir", "fill", "1x48M")
    }

    @Test func `what exceeds the memory of the host is refused at once`() throws {
      let place = try ReservoirPlace(fileSystem: "tmpfs", size: 0)
      try place.get("reservoir", "fill", "1x8M")
      let outcome = try place.run(["reservoir", "lease", "--size", "1T", "--grow"])
      outcome.expectFailure(1, "1048568 MiB is needed, but the host has")
      #expect(try place.rows() == ["8M 1 0 0"])
    }
  }
}
