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

    @Test func `a lease that is killed while it grows leaves no lease`() throws {
      let place = try ReservoirPlace(fileSystem: "tmpfs", size: 600 << 20)
      for _ in 0..<20 {
        try place.get("reservoir", "fill", "1x4M")
        let lease = try place.start([
          "reservoir", "lease", "--size", "512M", "--grow", "--name", "a",
        ])
        let hasBegun = eventually(within: .seconds(30)) {
          !place.names("filling").isEmpty || !place.names("leased/0").isEmpty
        }
        lease.send(SIGKILL)
        try #require(hasBegun)
        let outcome = try lease.wait()
        let leases = place.names("leased/0")
        if outcome.signal == SIGKILL {
          // It may have been killed between the rename and its end.
          #expect(leases.isEmpty || (try? place.rows())?.contains("512M 0 1 0") == true)
        }
        try place.get("reservoir", "gc")
        if leases.isEmpty {
          #expect(try place.rows().isEmpty)
          return
        }
        try place.get("reservoir", "release", "a")
      }
      Issue.record("no lease was killed while it grew")
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
