import Foundation
import HoldfastCore
import HoldfastTestKit
import Synchronization
import SystemPackage
import Testing

@testable import HoldfastLinux

/// Files that are read past the page cache, and through it.
struct DiskReaderTests {
  private func withFolder(_ body: (Folder, String) throws -> Void) throws {
    // /tmp is in memory on some hosts.
    let path = "/var/tmp/holdfast-\(UUID())"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try body(try Folder.open(path: path), path)
  }

  /// How many pages of a file are in the page cache, by mincore(2).
  private func cachedPages(_ path: String) throws -> Int {
    let file = open(path, O_RDWR | O_CLOEXEC)
    try #require(file >= 0)
    defer { close(file) }
    let length = Int(lseek(file, 0, SEEK_END))
    let map = try #require(mmap(nil, length, PROT_READ, MAP_SHARED, file, 0))
    try #require(map != MAP_FAILED)
    defer { munmap(map, length) }
    var flags = [UInt8](repeating: 0, count: (length + 4095) / 4096)
    try #require(mincore(map, length, &flags) == 0)
    return flags.count { $0 & 1 != 0 }
  }

  @Test func `what the page cache has is read from there, and the rest past it`() throws {
    try withFolder { folder, path in
      guard HostNeeds.canBypassCache(in: path), try folder.fileSystem().kind == .other else {
        try Test.cancel("\(path) is not on a disk with O_DIRECT")
      }
      // An odd end, so that the last piece is not a multiple of a block.
      var random = SeededGenerator(seed: 7)
      let bytes = (0..<(6 << 20) + 5000).map { _ in UInt8.random(in: 0...255, using: &random) }
      let file = path + "/file"
      try Data(bytes).write(to: URL(filePath: file))
      let arena = try Arena(size: .mebibytes(16), backing: .base)
      for isCached in [false, true] {
        let descriptor = open(file, O_RDWR | O_CLOEXEC)
        defer { close(descriptor) }
        fsync(descriptor)
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
        if isCached { try #require(try Data(contentsOf: URL(filePath: file)).count == bytes.count) }
        // Bytes that only the page cache has, not the disk.
        var changed = bytes
        changed[3 << 20] ^= 0xFF
        try #require(pwrite(descriptor, [changed[3 << 20]], 1, 3 << 20) == 1)
        let before = try cachedPages(file)
        try #require(isCached ? before > 1500 : before < 100)
        let pager = try FilePager(path: file, geometry: .small)
        let object = MemoryObject(memory: arena.memory, size: PageCount(1538), pager: pager)
        defer { object.release() }
        try pager.readingPastCache { () throws(HoldfastError) in
          for piece in pager.dataPieces(of: .mebibytes(2)) { try object.pageInAll(piece) }
        }
        // The pages from the disk are not in the cache afterwards, except for the end's.
        #expect(try cachedPages(file) <= (isCached ? before : 100))
        let window = try WindowPmap(arena: arena, length: .mebibytes(8), host: HostProbe().host())
        let space = try AddressSpace(
          bounds: AddressRange(from: .zero, to: Address(8 << 20)), memory: arena.memory,
          pmap: window)
        try space.map(object, at: AddressRange(from: .zero, to: Address(1538 << 12)))
        let read = try space.read(.zero, count: 1538 << 12)
        #expect(Array(read[..<bytes.count]) == changed)
        #expect(read[bytes.count...].allSatisfy { $0 == 0 })
        try #require(pwrite(descriptor, [bytes[3 << 20]], 1, 3 << 20) == 1)
        try space.remove(AddressRange(from: .zero, to: Address(1538 << 12)))
      }
    }
  }

  @Test func `a file that becomes shorter fails past the page cache too`() throws {
    try withFolder { folder, path in
      let file = path + "/file"
      try Data(repeating: 5, count: 4 << 20).write(to: URL(filePath: file))
      let arena = try Arena(size: .mebibytes(8), backing: .base)
      let pager = try FilePager(path: file, geometry: .small)
      let object = MemoryObject(memory: arena.memory, size: PageCount(1024), pager: pager)
      defer { object.release() }
      truncate(file, 3 << 20)
      let free = arena.allocator.occupancy.free
      let error = #expect(throws: HoldfastError.self) {
        try pager.readingPastCache { () throws(HoldfastError) in
          try object.pageInAll(PageRange(from: PageIndex(512), to: PageIndex(1024)))
        }
      }
      #expect(error?.code == .pagerFailure && error?.reason.contains("shorter") == true)
      #expect(object.state(of: PageIndex(512)) == nil)
      #expect(arena.allocator.occupancy.free == free)
    }
  }
}
