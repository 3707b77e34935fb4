import Foundation
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

extension FieldTests {
  /// A mount for the reservoir alone, for which the pool reserves all of its pages (`min_size=`), as
  /// docs/security.md recommends. They do not count as free.
  @Suite(
    .enabled(
      if: HostNeeds.isRoot && HostNeeds.hugePages(.mebibytes(64)),
      "needs root and \(HostNeeds.hugePagesComment)"))
  struct ReservedMountTests {
    @Test func `the reservoir gets the pages that are reserved for its mount`() throws {
      try HugePageLock.withLock {
        let size = Int(try HugePagePool(size: .mebibytes(2)).available.rawValue) << 21
        let place = try ReservoirPlace(
          fileSystem: "hugetlbfs", size: size, mountOptions: ",min_size=\(size)")
        try place.get("reservoir", "fill", "2x16M")
        try place.get("reservoir", "lease", "--size", "32M", "--grow", "--name", "a")
        #expect(try place.rows() == ["32M 0 1 0", "16M 1 0 0"])
        let excess = try place.run(["reservoir", "fill", "1x\(size >> 20)M"])
        excess.expectFailure(1, "the size limit of the file system")
      }
    }
  }
}
