import Holdfast
import HoldfastCore
import HoldfastLinux
import Testing

@Suite(.serialized) struct GuestMemoryTests {
  @Test(arguments: [Backing.hugetlb2M, .thp, .base], [GuestMemory.WirePath.prefault, .fault])
  func `a wired segment is what its receipt says`(
    backing: Backing, path: GuestMemory.WirePath
  ) throws {
    let arena = try Arena(size: .mebibytes(64), backing: backing)
    let memory = try GuestMemory(arena: arena, limit: .gibibytes(1))
    let ram = try memory.allocateSegment("ram", size: .mebibytes(34))
    let receipt = try memory.map(
      ram, at: Address(2 << 20), options: .wired, path: path)
    let verification = try receipt.verify()
    #expect(verification.problems == [])
    print(receipt.pages, receipt.fallbacks, verification)
  }
}
