import Foundation
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

/// Snapshots that cannot be saved or restored.
@Suite(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
struct SnapshotErrorTests {
  private let range = AddressRange(from: .zero, to: Address(8 << 20))
}

extension SnapshotErrorTests {
  /// A guest of 8 MiB. The first 4 MiB have bytes, and in the others nothing is mapped.
  private func guest() throws -> GuestMemory {
    let guest = try DemandPagingTests.guest(.base, size: .mebibytes(16), limit: .mebibytes(12))
    let ram = try guest.allocateSegment("ram", size: .mebibytes(8))
    try guest.map(ram, at: .zero)
    try guest.write([UInt8](repeating: 5, count: 4 << 20), to: .zero)
    return guest
  }

  @Test func `only a regular file is replaced`() throws {
    try TemporaryFolder.with { folder in
      let guest = try guest()
      try FileManager.default.createDirectory(
        atPath: folder + "/folder", withIntermediateDirectories: false)
      mkfifo(folder + "/pipe", 0o600)
      symlink("file", folder + "/link")
      try Data([1]).write(to: URL(filePath: folder + "/file"))
      for (path, word) in [
        ("/folder", "a folder"), ("/pipe", "a FIFO"), ("/link", "a symbolic link"),
        ("/", "does not name a file"), ("/..", "does not name a file"),
      ] {
        let error = #expect(throws: HoldfastError.self) { try guest.save(range, to: folder + path) }
        #expect(error?.code == .invalidArgument && error?.reason.contains(word) == true)
      }
      let error = #expect(throws: HoldfastError.self) {
        try guest.save(range, to: folder + "/none/image")
      }
      #expect(error?.code == .host && error?.errno == ENOENT)
      try guest.save(range, to: folder + "/file")
      #expect(try TemporaryFolder.names(folder) == ["file", "folder", "link", "pipe"])
      #expect(try Data(contentsOf: URL(filePath: folder + "/file")).count == 8 << 20)
    }
  }

  @Test func `unmapped memory is a hole, and a range without mappings is an error`() throws {
    try TemporaryFolder.with { folder in
      let guest = try guest()
      let path = folder + "/image"
      let receipt = try guest.save(
        AddressRange(from: Address(2 << 20), to: Address(12 << 20)), to: path)
      #expect(receipt.writtenBytes == .mebibytes(2) && receipt.holeBytes == .mebibytes(8))
      for (range, code) in [
        (
          AddressRange(from: Address(8 << 20), to: Address(12 << 20)),
          HoldfastError.Code.invalidAddress
        ),
        (AddressRange(from: .zero, to: .zero), .invalidArgument),
        (AddressRange(from: .zero, to: Address(4097)), .invalidArgument),
        (AddressRange(from: .zero, to: Address(13 << 20)), .invalidArgument),
      ] {
        let error = #expect(throws: HoldfastError.self) { try guest.save(range, to: path) }
        #expect(error?.code == code)
      }
      let bytes = try Data(contentsOf: URL(filePath: path))
      #expect(bytes.count == 10 << 20 && bytes.prefix(2 << 20).allSatisfy { $0 == 5 })
      #expect(bytes.dropFirst(2 << 20).allSatisfy { $0 == 0 })
    }
  }

  @Test(.enabled(if: HostNeeds.isRoot, "needs root, to mount a small tmpfs"))
  func `a full file system keeps the older file and nothing else`() throws {
    try TemporaryFolder.with { folder in
      let guest = try guest()
      let mount = try Process.run(
        URL(filePath: "/bin/mount"),
        arguments: ["-t", "tmpfs", "-o", "size=3m", "tmpfs", folder])
      mount.waitUntilExit()
      guard mount.terminationStatus == 0 else { try Test.cancel("a tmpfs cannot be mounted") }
      defer { umount2(folder, Int32(MNT_DETACH)) }
      try Data([1, 2]).write(to: URL(filePath: folder + "/image"))
      let error = #expect(throws: HoldfastError.self) {
        try guest.save(range, to: folder + "/image", threads: 2)
      }
      #expect(error?.code == .host && error?.errno == ENOSPC)
      #expect(error?.description.contains("free space") == true)
      #expect(try TemporaryFolder.names(folder) == ["image"])
      #expect(try Data(contentsOf: URL(filePath: folder + "/image")) == Data([1, 2]))
      // All of it is free again.
      try Data(count: 2 << 20).write(to: URL(filePath: folder + "/other"))
    }
  }

  @Test func `a failed restore leaves no segment`() throws {
    try TemporaryFolder.with { folder in
      let guest = try guest()
      try Data().write(to: URL(filePath: folder + "/empty"))
      try Data(repeating: 1, count: 32 << 20).write(to: URL(filePath: folder + "/large"))
      try Data(repeating: 2, count: 14 << 20).write(to: URL(filePath: folder + "/much"))
      try Data(repeating: 3, count: 5000).write(to: URL(filePath: folder + "/odd"))
      func code(_ name: String, _ prefetch: SnapshotPrefetch) -> HoldfastError.Code? {
        #expect(throws: HoldfastError.self) {
          try guest.restoreSegment("r", from: folder + name, prefetch: prefetch)
        }?.code
      }
      #expect(code("/none", .onDemand) == .host)
      #expect(code("", .onDemand) == .host)
      #expect(code("/empty", .onDemand) == .invalidArgument)
      let free = guest.arena.allocator.occupancy.free
      #expect(code("/large", .prefetched(threads: 2)) == .resourceShortage)
      #expect(code("/much", .prefetched(threads: 2)) == .resourceShortage)
      // More than the arena has is refused before it is read.
      let error = #expect(throws: HoldfastError.self) {
        try guest.restoreSegment("r", from: folder + "/large", prefetch: .prefetched(threads: 1))
      }
      #expect(error?.reason == "the file has 32 MiB of data, more than the arena")
      #expect(guest.arena.allocator.occupancy.free == free)
      // A file's end is that of a page.
      let odd = try guest.restoreSegment("r", from: folder + "/odd")
      #expect(odd.size == .kibibytes(8))
      try guest.map(odd, at: Address(8 << 20))
      let bytes = try guest.read(Address(8 << 20), count: 8192)
      #expect(
        bytes.prefix(5000).allSatisfy { $0 == 3 } && bytes.dropFirst(5000).allSatisfy { $0 == 0 })
      #expect(throws: HoldfastError.self) { try guest.restoreSegment("r", from: folder + "/odd") }
      #expect(guest.invariantProblems() == [])
    }
  }

  @Test func `a file that became shorter causes a fault that cannot be served`() throws {
    try TemporaryFolder.with { folder in
      let path = folder + "/image"
      try guest().save(range, to: path)
      let reported = ConcurrentFailures()
      let arena = try Arena(size: .mebibytes(16), for: .paging, backing: .base, threads: 2)
      let paging = DemandPaging { failure in
        reported.report("\(failure.error.code)")
        return .refuse
      }
      let guest = try GuestMemory(arena: arena, limit: .mebibytes(8), demandPaging: paging)
      try guest.map(try guest.restoreSegment("ram", from: path), at: .zero)
      let touch = GuestAccess(guest)
      #expect(touch.read(0) == 0x0505_0505_0505_0505)
      truncate(path, 1 << 20)
      #expect(touch.readByKernel(3 << 20) == EFAULT)
      #expect(reported.all == ["pagerFailure"])
      let error = #expect(throws: HoldfastError.self) { try guest.read(Address(3 << 20), count: 1) }
      #expect(error?.code == .pagerFailure)
      let saving = #expect(throws: HoldfastError.self) { try guest.save(range, to: folder + "/b") }
      #expect(saving?.code == .pagerFailure)
      #expect(try TemporaryFolder.names(folder) == ["image"])
      #expect(guest.invariantProblems() == [])
    }
  }

  @Test func `a limit of file sizes is an error, and ends neither a guest nor the process`() async {
    await #expect(processExitsWith: .success) {
      let guest = try DemandPagingTests.guest(.base, size: .mebibytes(8), limit: .mebibytes(4))
      let range = AddressRange(from: .zero, to: Address(4 << 20))
      try guest.map(try guest.allocateSegment("ram", size: .mebibytes(4)), at: .zero)
      try guest.write([UInt8](repeating: 5, count: 4 << 20), to: .zero)
      func expectTooLarge(_ body: () throws -> Void) {
        do {
          try body()
          preconditionFailure("the limit was not reached")
        } catch let error as HoldfastError {
          precondition(error.errno == EFBIG, "\(error)")
        } catch {
          preconditionFailure("\(error)")
        }
      }
      try TemporaryFolder.with { folder in
        var limit = rlimit(rlim_cur: 1 << 20, rlim_max: .max)
        setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
        // At its size, and at what an arena has in memory.
        expectTooLarge { try guest.save(range, to: folder + "/image") }
        expectTooLarge { _ = try Arena(size: .mebibytes(4), backing: .base, threads: 1) }
        let names = try TemporaryFolder.names(folder)
        precondition(names == [])
        // No signal is left pending.
        var pending = sigset_t()
        sigpending(&pending)
        precondition(sigismember(&pending, SIGXFSZ) == 0)
        limit.rlim_cur = .max
        setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
        try guest.save(range, to: folder + "/image")
      }
    }
  }
}
