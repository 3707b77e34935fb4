import Foundation
import Glibc
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

@testable import HoldfastReservoir

/// The reported ends of leases.
private final class Ended: @unchecked Sendable {
  private let lock = NSLock()
  private var all: [Result<LeaseEnd, HoldfastError>] = []

  func add(_ result: Result<LeaseEnd, HoldfastError>) { lock.withLock { all.append(result) } }
  var results: [Result<LeaseEnd, HoldfastError>] { lock.withLock { all } }
}

/// Arenas of leased memory.
struct AdoptionTests {
  private let size = ByteCount.mebibytes(16)

  /// The inode number of the only ready file.
  private func inode(_ place: Place) throws -> UInt64 {
    let names = place.names("ready")
    try #require(names.count == 1)
    var status = stat()
    try #require(stat(place.file("ready/\(names[0])"), &status) == 0)
    return UInt64(status.st_ino)
  }

  /// Wires a guest of the size of the lease, writes to it, and releases all of it.
  private func useUp(
    _ lease: Lease, _ page: ByteCount, atEnd end: AdoptionEnd? = nil, _ ended: Ended,
    while body: () throws -> Void = {}
  ) throws {
    let arena = try Arena(adopting: lease, atEnd: end, threads: 2) { ended.add($0) }
    #expect(arena.size == size && arena.geometry.pageSize == page)
    #expect(arena.memory.allocator.occupancy.zeroed == arena.geometry.pages(in: size))
    let memory = try GuestMemory(arena: arena, limit: size)
    let ram = try memory.allocateSegment("ram", size: size)
    let receipt = try memory.map(ram, at: .zero, options: .wired)
    let verification = try receipt.verify()
    #expect(verification.problems == [] && verification.residentBytes == size)
    #expect(receipt.zeroedAheadBytes == size && receipt.zeroedNowBytes == .zero)
    #expect(verification.pages == [page: size.rawValue / page.rawValue])
    // Through the window, as a device or a guest would.
    let start = try #require(UnsafeMutableRawPointer(bitPattern: UInt(memory.hostAddress)))
    memset(start, 0xA5, Int(size.rawValue))
    // The bytes that were written to the window are in the leased file.
    let mapping = try Mapping(lease.receipt.path)
    #expect(memcmp(mapping.start, start, mapping.length) == 0)
    try body()
    withExtendedLifetime((arena, memory, receipt)) {}
  }

  private func wholeLife(_ place: Place, _ page: ByteCount) throws {
    let reservoir = try place.reservoir(size)
    for (isHeld, reuse) in [(true, Reuse.scrub), (false, .scrub), (true, .fresh), (false, .fresh)] {
      var request = LeaseRequest(size: size, name: try LeaseName("vm"))
      request.isHeld = isHeld
      let file = try inode(place)
      let lease = try reservoir.lease(request)
      let ended = Ended()
      try useUp(lease, page, atEnd: .recycle(RecycleOptions(reuse: reuse)), ended) {
        // The arena alone has the file, and the lock of a held lease.
        #expect(lease.descriptor == -1)
        #expect(code { _ = try Arena(adopting: lease) } == .busy)
        if isHeld {
          #expect(code { _ = try reservoir.release(LeaseName("vm")) } == .busy)
        }
        var options = RecycleOptions(reuse: .scrub)
        options.timeout = .milliseconds(5)
        #expect(code { _ = try reservoir.recycle(LeaseName("vm"), options: options) } == .busy)
        #expect(ended.results.isEmpty && place.names("ready").isEmpty)
      }
      #expect(
        ended.results == [.success(reuse == .scrub ? .recycled(size) : .replaced(size))])
      #expect(try (inode(place) == file) == (reuse == .scrub))
      let ready = try #require(place.names("ready").first)
      #expect(try Mapping(place.file("ready/\(ready)")).isZero)
    }
    let ended = Ended()
    try useUp(try reservoir.held(size, "last"), page, atEnd: .release, ended)
    #expect(ended.results == [.success(.released(size, reason: nil))])
    #expect(try reservoir.counts() == [])
  }

  @Test func onTmpfs() throws { try wholeLife(Place(), .kibibytes(4)) }

  @Test(
    .enabled(
      if: HostNeeds.isRoot && HostNeeds.hugePages(.mebibytes(64)),
      "needs root and \(HostNeeds.hugePagesComment)"))
  func onHugePages() throws {
    try HugePageLock.withLock {
      let place = try Place(fileSystem: "hugetlbfs", size: .mebibytes(32))
      try wholeLife(place, .mebibytes(2))
      #expect(place.used == .zero)
    }
  }

  @Test func guestMemoryThatOutlivesItsArenaKeepsTheLease() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    let ended = Ended()
    var memory: GuestMemory? = try {
      let arena = try Arena(adopting: reservoir.held(size, "vm"), threads: 1) { ended.add($0) }
      return try GuestMemory(arena: arena, limit: size)
    }()
    #expect(ended.results.isEmpty)
    let collected = try reservoir.collect(CollectOptions(reuse: .scrub))
    #expect(collected.recycled == 0 && collected.released == 0)
    #expect(try reservoir.counts() == ["16M 0 1 0"])
    withExtendedLifetime(memory) {}
    memory = nil
    #expect(ended.results == [.success(.replaced(size))])
  }

  @Test(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
  func pagedAndForkedGuests() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    let ended = Ended()
    do {
      let arena = try Arena(adopting: reservoir.held(size, "vm"), threads: 1) { ended.add($0) }
      let memory = try GuestMemory(arena: arena, limit: size, demandPaging: DemandPaging())
      let ram = try memory.allocateSegment("ram", size: .mebibytes(4))
      _ = try memory.map(ram, at: .zero)
      let bytes = [UInt8](repeating: 0xA5, count: 4 << 20)
      try memory.write(bytes, to: .zero)
      let (child, _) = try memory.fork()
      try child.write([1, 2, 3], to: Address(8192))
      withExtendedLifetime((arena, memory, child)) {}
    }
    #expect(ended.results == [.success(.replaced(size))])
    let ready = try #require(place.names("ready").first)
    #expect(try Mapping(place.file("ready/\(ready)")).isZero)
  }

  @Test func aFileThatIsOpenElsewhereAtTheEndIsReleased() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    let lease = try reservoir.held(size, "vm")
    let ended = Ended()
    let other = open(lease.receipt.path, O_RDWR | O_CLOEXEC)
    defer { close(other) }
    var options = RecycleOptions(reuse: .scrub)
    options.timeout = .milliseconds(5)
    try useUp(lease, .kibibytes(4), atEnd: .recycle(options), ended)
    guard case .success(.released(size, _?))? = ended.results.first else {
      Issue.record("\(ended.results)")
      return
    }
    #expect(try reservoir.counts() == [])
  }

  @Test func leasesThatAreNotExclusiveAreRefused() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    let lease = try reservoir.held(size, "vm")
    var receipt = lease.receipt
    receipt.isExclusive = false
    let file = try #require(lease.takeFile())
    let shared = Lease(receipt, file, .reservoir(reservoir))
    #expect(code { _ = try Arena(adopting: shared) } == .untrusted)
    #expect(shared.descriptor >= 0)
  }

  @Test func aLeaseThatCannotBeAdoptedIsUnchanged() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    let lease = try reservoir.held(size, "vm")
    // Its own user truncates it.
    try #require(ftruncate(lease.descriptor, 5000) == 0)
    let ended = Ended()
    #expect(code { _ = try Arena(adopting: lease) { ended.add($0) } } == .host)
    #expect(lease.descriptor >= 0 && ended.results.isEmpty)
    #expect(try reservoir.counts().count == 1)
  }
}

/// Arenas on any file.
struct AdoptedFileTests {
  private func problem(_ descriptor: Int32) -> String? {
    do {
      _ = try Arena(adoptingZeroed: descriptor, threads: 1)
      return nil
    } catch {
      return error.reason
    }
  }

  /// The problem with a file on tmpfs.
  private func problem(size: Int, _ flags: Int32 = O_RDWR) throws -> String? {
    let path = "/dev/shm/holdfast-test-\(UUID())"
    let made = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    try #require(made >= 0 && ftruncate(made, off_t(size)) == 0)
    defer { close(made) }
    let file = open(path, flags | O_CLOEXEC)
    try #require(file >= 0)
    defer { close(file) }
    unlink(path)
    return problem(file)
  }

  @Test func wrongFiles() throws {
    #expect(problem(-1) == "the descriptor is not open")
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    defer { for end in ends { close(end) } }
    #expect(problem(ends[0]) == "it is a FIFO, not a regular file")
    for (path, what) in [("/dev/null", "a device"), ("/dev/shm", "a folder")] {
      let file = open(path, O_RDONLY | O_CLOEXEC)
      defer { close(file) }
      #expect(problem(file) == "it is \(what), not a regular file")
    }
    let proc = open("/proc/self/status", O_RDONLY | O_CLOEXEC)
    defer { close(proc) }
    #expect(problem(proc) == "the file is neither on hugetlbfs nor on tmpfs")
    #expect(try problem(size: 0)?.hasPrefix("its size 0 ") == true)
    #expect(
      try problem(size: 5000)?.contains("not a positive multiple of the page size 4 KiB") == true)
    #expect(try problem(size: 1 << 20, O_RDONLY) == "the file is not open for reading and writing")
    #expect(try problem(size: 1 << 20) == nil)
    #expect(try problem(size: 1 << 52) != nil)
  }

  @Test func theCallersDescriptorStaysOpen() throws {
    let file = unnamedFile()
    defer { close(file) }
    try #require(file >= 0 && ftruncate(file, 4 << 20) == 0)
    do {
      let arena = try Arena(adoptingZeroed: file, threads: 1)
      let bytes: [UInt8] = [1, 2, 3]
      arena.write(bytes.span.bytes, to: Frame(2), offset: ByteCount(5))
    }
    var found = [UInt8](repeating: 0, count: 3)
    #expect(pread(file, &found, 3, 8192 + 5) == 3 && found == [1, 2, 3])
  }

  @Test func theAuditFindsNonzeroBytes() async {
    await #expect(processExitsWith: .success) {
      setenv("HOLDFAST_CHECK_ZEROED", "1", 1)
      let file = unnamedFile()
      precondition(file >= 0 && ftruncate(file, 4 << 20) == 0)
      do {
        let arena = try Arena(adoptingZeroed: file, threads: 1)
        withExtendedLifetime(arena) {}
      }
      var byte: UInt8 = 1
      precondition(pwrite(file, &byte, 1, (3 << 20) + 77) == 1)
      do {
        _ = try Arena(adoptingZeroed: file, threads: 1)
        preconditionFailure("the audit found no byte")
      } catch let error as HoldfastError {
        precondition(error.reason == "the file is not zero", error.reason)
      }
    }
  }
}

/// A file on tmpfs without a name (O_TMPFILE).
private func unnamedFile() -> Int32 {
  open("/dev/shm", 0o20000000 | O_DIRECTORY | O_RDWR | O_CLOEXEC, 0o600)
}
