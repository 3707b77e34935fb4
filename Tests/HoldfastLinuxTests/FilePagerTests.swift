import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

/// Objects whose pages come from a file, on real memory.
struct FilePagerTests {
  private let arena: Arena
  private let path: String

  init() throws {
    arena = try Arena(size: .mebibytes(8), backing: .base)
    path = NSTemporaryDirectory() + "holdfast-pager-\(UUID().uuidString)"
  }

  /// A file of 100 pages and 10 bytes, each page full of its number.
  private func write() throws {
    var bytes: [UInt8] = []
    for page in 0..<100 { bytes += [UInt8](repeating: UInt8(page + 1), count: 4096) }
    bytes += [UInt8](repeating: 200, count: 10)
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }

  private func makeSpace(_ object: MemoryObject) throws -> AddressSpace {
    let window = try WindowPmap(arena: arena, length: .mebibytes(8), host: HostProbe().host())
    let space = try AddressSpace(
      bounds: AddressRange(from: .zero, to: Address(8 << 20)), memory: arena.memory, pmap: window)
    try space.map(object, at: AddressRange(from: .zero, to: Address(1 << 20)))
    return space
  }

  @Test(arguments: WirePath.allCases)
  func `wired pages have the file's bytes, and zeros behind its end`(wirePath: WirePath) throws {
    try write()
    defer { unlink(path) }
    let pager = try FilePager(path: path, offset: .kibibytes(8), geometry: .small)
    #expect(pager.length == ByteCount(98 * 4096 + 10))
    let object = MemoryObject(memory: arena.memory, size: PageCount(256), pager: pager)
    defer { object.release() }
    let space = try makeSpace(object)
    try space.wire(AddressRange(from: .zero, to: Address(1 << 20)), wirePath.options)
    let bytes = try space.read(.zero, count: 1 << 20)
    for page in 0..<98 { #expect(bytes[page * 4096] == UInt8(page + 3)) }
    #expect(bytes[98 * 4096..<98 * 4096 + 10].allSatisfy { $0 == 200 })
    #expect(bytes[(98 * 4096 + 10)...].allSatisfy { $0 == 0 })
  }

  @Test func `a file that becomes shorter makes the fault fail and leaves no page`() throws {
    try write()
    defer { unlink(path) }
    let pager = try FilePager(path: path, geometry: .small)
    let object = MemoryObject(memory: arena.memory, size: PageCount(256), pager: pager)
    defer { object.release() }
    let space = try makeSpace(object)
    #expect(truncate(path, 50 * 4096) == 0)
    let free = arena.allocator.occupancy.free
    let error = #expect(throws: HoldfastError.self) { try space.fault(Address(60 * 4096), .read) }
    #expect(error?.code == .pagerFailure && error?.address == Address(60 * 4096))
    #expect(throws: HoldfastError.self) {
      try space.wire(AddressRange(from: .zero, to: Address(1 << 20)))
    }
    #expect(object.state(of: PageIndex(60)) == nil)
    #expect(space.entryViews.allSatisfy { !$0.isUserWired })
    try space.remove(AddressRange(from: .zero, to: Address(1 << 20)))
    #expect(arena.allocator.occupancy.free <= free)
    try space.map(object, at: AddressRange(from: .zero, to: Address(1 << 20)))
    #expect(try space.read(Address(10 * 4096), count: 1) == [11])
  }

  @Test func `files that cannot be paged from are errors`() throws {
    try write()
    defer { unlink(path) }
    #expect(throws: HoldfastError.self) { try FilePager(path: path + "-none", geometry: .small) }
    #expect(throws: HoldfastError.self) { try FilePager(path: "/tmp", geometry: .small) }
    #expect(throws: HoldfastError.self) {
      try FilePager(path: path, offset: .mebibytes(1), geometry: .small)
    }
  }
}
