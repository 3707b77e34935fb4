import Foundation
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

/// Snapshots on file systems that are full, that fail, or that cannot bypass the page cache, and
/// snapshots that are cancelled.
@Suite(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
struct SnapshotDiskTests {
  private let range = AddressRange(from: .zero, to: .zero + Self.size)
}

extension SnapshotDiskTests {
  private static let size = ByteCount.mebibytes(8)

  /// A guest without zeros.
  private func guest() throws -> GuestMemory {
    let guest = try DemandPagingTests.guest(.base, size: .mebibytes(16), limit: Self.size)
    try guest.map(try guest.allocateSegment("ram", size: Self.size), at: .zero)
    try guest.write([UInt8](repeating: 5, count: Int(Self.size.rawValue)), to: .zero)
    return guest
  }

  private func mount(_ words: String...) throws {
    let mount = try Process.run(URL(filePath: "/bin/mount"), arguments: words)
    mount.waitUntilExit()
    guard mount.terminationStatus == 0 else { try Test.cancel("cannot mount \(words)") }
  }

  /// Calls `body` with a folder on a new ext4 of `size` MiB, whose own disk has `room` MiB.
  private func withDisk(size: Int, room: Int, _ body: (String) throws -> Void) throws {
    try TemporaryFolder.with { folder in
      for name in ["/host", "/disk"] {
        try FileManager.default.createDirectory(
          atPath: folder + name, withIntermediateDirectories: false)
      }
      try mount("-t", "tmpfs", "-o", "size=\(room)m", "tmpfs", folder + "/host")
      defer { umount2(folder + "/host", Int32(MNT_DETACH)) }
      let image = folder + "/host/image"
      try Data().write(to: URL(filePath: image))
      truncate(image, off_t(size << 20))
      let format = URL(filePath: "/usr/sbin/mkfs.ext4")
      guard FileManager.default.isExecutableFile(atPath: format.path) else {
        try Test.cancel("mkfs.ext4 is missing")
      }
      // Without a journal, whose writes would fail too, and print so.
      let made = try Process.run(
        format, arguments: ["-q", "-F", "-O", "^has_journal", "-E", "lazy_itable_init=1", image])
      made.waitUntilExit()
      try #require(made.terminationStatus == 0)
      try mount("-o", "loop", image, folder + "/disk")
      defer { umount2(folder + "/disk", Int32(MNT_DETACH)) }
      try body(folder + "/disk")
    }
  }

  private func expectOlderFile(_ folder: String, errors: [Int32]) throws {
    let guest = try guest()
    try Data([1, 2]).write(to: URL(filePath: folder + "/image"))
    let before = try FileManager.default.attributesOfFileSystem(forPath: folder)
    let error = #expect(throws: HoldfastError.self) {
      try guest.save(range, to: folder + "/image")
    }
    #expect(error?.code == .host && errors.contains(error?.errno ?? 0), "\(error as Any)")
    #expect(try TemporaryFolder.names(folder).filter { $0 != "lost+found" } == ["image"])
    #expect(try Data(contentsOf: URL(filePath: folder + "/image")) == Data([1, 2]))
    let after = try FileManager.default.attributesOfFileSystem(forPath: folder)
    let (was, now) = (before[.systemFreeSize] as? Int ?? 0, after[.systemFreeSize] as? Int ?? 1)
    #expect(abs(was - now) < 1 << 18, "\(was) and \(now) bytes are free")
    #expect(guest.invariantProblems() == [])
  }

  @Test(.enabled(if: HostNeeds.isRoot, "needs root, to mount a small disk"))
  func `a full disk keeps the older file and nothing else`() throws {
    try withDisk(size: 7, room: 12) { try expectOlderFile($0, errors: [ENOSPC]) }
  }

  @Test(.enabled(if: HostNeeds.isRoot, "needs root, to mount a disk that fails"))
  func `a disk that fails keeps the older file and nothing else`() throws {
    try withDisk(size: 32, room: 4) { try expectOlderFile($0, errors: [EIO, ENOSPC]) }
  }

  @Test(.enabled(if: HostNeeds.isRoot, "needs root, to mount a ramfs"))
  func `a file system that cannot bypass the page cache serves all the same`() throws {
    try TemporaryFolder.with { folder in
      try mount("-t", "ramfs", "ramfs", folder)
      defer { umount2(folder, Int32(MNT_DETACH)) }
      try #require(!HostNeeds.canBypassCache(in: folder))
      try expectRoundTrip(folder)
    }
  }

  @Test func `memory file systems serve`() throws {
    let folder = "/dev/shm/holdfast-\(UUID())"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try expectRoundTrip(folder)
  }

  private func expectRoundTrip(_ folder: String) throws {
    let path = folder + "/image"
    try guest().save(range, to: path)
    for prefetch in [SnapshotPrefetch.onDemand, .prefetched(threads: 4)] {
      let arena = try Arena(size: .mebibytes(16), for: .paging, backing: .base, threads: 2)
      let guest = try GuestMemory(
        arena: arena, limit: Self.size, demandPaging: DemandPaging())
      let ram = try guest.restoreSegment("ram", from: path, prefetch: prefetch)
      try guest.map(ram, at: .zero)
      let bytes = try guest.read(.zero, count: Int(Self.size.rawValue))
      #expect(bytes.allSatisfy { $0 == 5 })
    }
  }

  @Test func `a cancelled save keeps the older file, and a cancelled restore no segment`() throws {
    try TemporaryFolder.with { folder in
      let guest = try guest()
      let path = folder + "/image"
      try guest.save(range, to: path)
      let old = try Data(contentsOf: URL(filePath: path))
      try guest.write([6], to: .zero)
      let saving = CancellationToken()
      let error = #expect(throws: HoldfastError.self) {
        try guest.save(range, to: path, threads: 1, cancellation: saving) { done, _ in
          if done > .zero { saving.cancel() }
        }
      }
      #expect(error?.code == .cancelled)
      #expect(try TemporaryFolder.names(folder) == ["image"])
      #expect(try Data(contentsOf: URL(filePath: path)) == old)
      let free = guest.arena.allocator.occupancy.free
      let restoring = CancellationToken()
      let other = #expect(throws: HoldfastError.self) {
        try guest.restoreSegment(
          "other", from: path, prefetch: .prefetched(threads: 1), cancellation: restoring
        ) { done, _ in
          if done > .zero { restoring.cancel() }
        }
      }
      #expect(other?.code == .cancelled)
      #expect(guest.arena.allocator.occupancy.free == free)
      // Its name is free again.
      _ = try guest.restoreSegment("other", from: path)
    }
  }
}
