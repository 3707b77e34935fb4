import CHoldfastLinux
import Glibc
import HoldfastCore
import HoldfastTestKit
import Synchronization
import Testing

@testable import HoldfastLinux

/// System calls of a window that fail, or that another thread delays.
@Suite(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
struct WindowFailureTests {}

extension WindowFailureTests {
  /// Makes the arena's file read-only, so that mmap(2) of it for writing fails.
  private func makeReadOnly(_ arena: Arena) throws {
    let file = try #require(arena.descriptor)
    let readOnly = open("/proc/self/fd/\(file)", O_RDONLY | O_CLOEXEC)
    try #require(readOnly >= 0 && dup2(readOnly, file) == file)
    _ = fcntl(file, F_SETFD, FD_CLOEXEC)
    close(readOnly)
  }

  @Test func `a failed mmap leaves nothing accessible in a window with demand paging`() throws {
    let place = try PagedPlace(.base, pages: 1024)
    try place.enter(0, 0..<16)
    try makeReadOnly(place.arena)
    let error = #expect(throws: HoldfastError.self) { try place.enter(100, 4..<8) }
    #expect(error?.code == .resourceShortage && error?.errno == EACCES)
    for page in UInt64(4)..<8 { #expect(!place.isPresent(page) && !place.isReachable(page)) }
    #expect(place.isReachable(3) && place.isReachable(8))
    #expect(place.window.mappingCount == kernelMappings(place.window.hostRange))
  }

  @Test func `a failed mmap leaves a reservation in a window of wired memory`() throws {
    let arena = try Arena(size: .mebibytes(4), backing: .base, threads: 1)
    let window = try WindowPmap(arena: arena, length: .mebibytes(4), host: HostProbe().host())
    try window.enter(
      FrameRun(Frame(0), PageCount(16)), at: .zero, protection: .readWrite, wired: true, reach: nil)
    try makeReadOnly(arena)
    let error = #expect(throws: HoldfastError.self) {
      try window.enter(
        FrameRun(Frame(100), PageCount(4)), at: Address(4 << 12), protection: .readWrite,
        wired: true, reach: nil)
    }
    #expect(error?.errno == EACCES)
    for page in UInt64(4)..<8 { #expect(!canRead(window.hostRange.address + page * 4096)) }
    #expect(canRead(window.hostRange.address + 3 * 4096) && window.extentCount == 2)
    #expect(window.mappingCount == kernelMappings(window.hostRange))
  }

  @Test func `pages that changed protection are entered again, and count as entered`() throws {
    let place = try PagedPlace(.base, pages: 1024)
    try place.enter(0, 0..<8)
    place.window.protect(place.range(0..<8), [])
    place.window.protect(place.range(0..<8), .readWrite)
    var translations = 0
    place.window.forEachTranslation { _, _, _, _ in translations += 1 }
    #expect(!place.isPresent(0) && translations == 0)
    place.window.refresh(place.range(2..<4))
    place.window.forEachTranslation { address, frames, protection, _ in
      translations += 1
      #expect(address == Address(2 << 12) && frames == FrameRun(Frame(2), PageCount(2)))
      #expect(protection == .readWrite)
    }
    #expect(translations == 1)
    for page in UInt64(0)..<8 { #expect(place.isPresent(page) == (2..<4).contains(page)) }
    // What was not entered anew is not entered by a refresh after it was removed.
    place.window.remove(place.range(0..<8))
    place.window.refresh(place.range(0..<8))
    #expect(try place.entered(0..<8) == 0)
  }

  @Test func `pages of a refresh that fails half way are removed`() throws {
    let place = try PagedPlace(.base, pages: 1024)
    try place.enter(0, 0..<8)
    place.window.protect(place.range(0..<8), [])
    place.window.protect(place.range(0..<8), .readWrite)
    // The file lacks a page, so the kernel installs those before it and fails.
    let file = try #require(place.arena.descriptor)
    try #require(hf_punch(file, 4 << 12, 1 << 12) == 0)
    place.window.refresh(place.range(0..<8))
    #expect(place.isPresent(3) && !place.isPresent(4))
    place.window.remove(place.range(0..<8))
    for page in UInt64(0)..<8 { #expect(!place.isPresent(page)) }
  }

  @Test func `a region that would extend past the arena's end is not mapped`() throws {
    let arena = try Arena(size: .mebibytes(3), for: .paging, backing: .base, threads: 1)
    let window = try PagedWindow(
      arena: arena, length: .mebibytes(4), host: HostProbe().host())
    let space = try AddressSpace(
      bounds: AddressRange(from: .zero, to: Address(4 << 20)), memory: arena.memory, pmap: window)
    let handler = try FaultHandler(window: window, space: space) { _ in .refuse }
    // A page in the arena's last MiB, and in the first 2 MiB for comparison.
    for page in [UInt64(600), 5] {
      try window.enter(
        FrameRun(Frame(page), .one), at: Address(page << 12), protection: .readWrite,
        wired: false, reach: nil)
    }
    let start = window.hostRange.address
    let files = try KernelMapping.all(overlapping: start..<start + 4 << 20).filter {
      $0.path.contains("holdfast-arena")
    }
    #expect(files.map { $0.range.upperBound - start } == [2 << 20, 601 << 12])
    #expect(canRead(start + 600 << 12))
    handler.stop()
  }

  /// The thread that moves a mapping holds the window's lock, and the thread that read the fault
  /// waits for it. Then another one must read the event of the move.
  @Test func `a reader that serves a fault wakes the next one while a mapping is moved`() throws {
    let arena = try Arena(size: .mebibytes(4), for: .paging, backing: .base, threads: 1)
    let window = try PagedWindow(
      arena: arena, length: .mebibytes(4), host: HostProbe().host())
    let all = AddressRange(from: .zero, to: Address(4 << 20))
    let space = try AddressSpace(bounds: all, memory: arena.memory, pmap: window)
    let threads = try FaultHandlerThreads(
      window: window, space: space, threadLimit: 2, onFailure: { _ in .refuse })
    try space.map(at: AddressRange(from: .zero, to: Address(1 << 20)))
    // Resident, so that the fault needs nothing but the window.
    try space.write([7], at: .zero)
    let address = window.hostRange.address
    let found = Atomic<Bool>(false)
    let isMoved = Atomic<Bool>(false)
    let aside = try HostRange.anonymous(4096)
    try window.faults.register(aside, 0..<4096, .missing)
    // A thread that starts would read, so both have started: one reads.
    try #require(eventually { threads.idleThreads == 1 })
    window.lock.lock()
    var isRead = false
    try threads.withReader {
      start { found.store(canRead(address), ordering: .releasing) }
      isRead =
        eventually { threads.statistics.demandFaults == 1 }
        && {
          start {
            try? aside.move(to: window.hostRange, at: 3 << 20)
            isMoved.store(true, ordering: .releasing)
          }
          return eventually(within: .seconds(10)) { isMoved.load(ordering: .acquiring) }
        }()
    }
    // Otherwise a page could not be installed: the kernel refuses that until the event is read.
    if !isRead { threads.ensureReader() }
    window.lock.unlock()
    #expect(isRead)
    #expect(eventually { found.load(ordering: .acquiring) && isMoved.load(ordering: .acquiring) })
    threads.stop()
  }

  /// The kernel may take a page of a file out of the page tables for its own reasons.
  @Test func `a wired page that is no longer in the page tables is entered again`() throws {
    let arena = try Arena(size: .mebibytes(4), for: .paging, backing: .base, threads: 1)
    let window = try PagedWindow(
      arena: arena, length: .mebibytes(4), host: HostProbe().host())
    let all = AddressRange(from: .zero, to: Address(4 << 20))
    let space = try AddressSpace(bounds: all, memory: arena.memory, pmap: window)
    let handler = try FaultHandler(window: window, space: space) { _ in .refuse }
    let range = AddressRange(from: .zero, to: Address(16 << 12))
    try space.map(at: range)
    try space.wire(range)
    // Trapped from here on.
    try space.protect(range, .read)
    let address = window.hostRange.address + 5 << 12
    try window.hostRange.dropTranslations(5 << 12..<6 << 12)
    #expect(!isInPageTables(address))
    let found = Atomic<Bool>(false)
    start { found.store(canRead(address), ordering: .releasing) }
    #expect(eventually(within: .seconds(10)) { found.load(ordering: .acquiring) })
    #expect(isInPageTables(address) && handler.statistics.failures == 0)
    // Otherwise a thread whose page is not entered would fault for ever.
    handler.stop()
  }

  @Test func `faults are served where the process may not poll so many descriptors`() async {
    await #expect(processExitsWith: .success) {
      let place = try PagedPlace(.base, pages: 1024)
      var ends: [Int32] = [0, 0]
      precondition(pipe(&ends) == 0)
      var limit = rlimit(rlim_cur: 1, rlim_max: 1)
      precondition(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
      let page = UnsafeRawPointer(bitPattern: UInt(place.window.hostRange.address))!
      // The handler refuses the fault, so the access fails and does not wait.
      precondition(write(ends[1], page, 1) < 0 && errno == EFAULT)
      precondition(place.handler.statistics.failures == 1)
    }
  }
}

/// A thread that may wait for a while, and that the test does not wait for.
private func start(_ body: @escaping @Sendable () -> Void) {
  final class Work {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  var thread = pthread_t()
  pthread_create(
    &thread, nil,
    { argument in
      Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue().body()
      return nil
    }, Unmanaged.passRetained(Work(body)).toOpaque())
  pthread_detach(thread)
}
