import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

/// Arenas that fail to return memory to the host.
struct ArenaShrinkTests {
  /// In a process of its own, which has as many mappings as the kernel allows.
  @Test func `a part that cannot be unmapped stays with the arena`() async {
    await #expect(processExitsWith: .success) {
      let arena = try Arena(
        size: .mebibytes(8), maximum: .mebibytes(8), backing: .base, threads: 1)
      let before = arena.allocator.occupancy
      FullProcess.fill()
      do {
        try arena.shrink(by: .mebibytes(2))
        preconditionFailure("shrunk")
      } catch let error as HoldfastError {
        precondition(error.code == .host && error.errno == ENOMEM, "\(error)")
        precondition(error.advice == .raiseLimit("vm.max_map_count"))
      }
      let after = arena.allocator.occupancy
      precondition(after.free == before.free && after.total == before.total)
      precondition(arena.size == .mebibytes(8))
    }
  }

  @Test func `memory that the kernel does not take back is zeroed before it is used again`() throws
  {
    let arena = try Arena(
      size: .mebibytes(8), maximum: .mebibytes(8), backing: .base, threads: 1)
    let file = try #require(arena.descriptor)
    let all = FrameRun(Frame(0), PageCount(2048))
    arena.write([UInt8](repeating: 9, count: 8 << 20).span.bytes, to: all.start, offset: .zero)
    var dirty: [FrameRun] = []
    while arena.allocator.allocateLargest(order: 9, dirty: &dirty) != nil {}
    arena.allocator.free(all, zeroed: false)
    // A frame in the middle is a guest's, so that the free memory is more than one run.
    let middle = Frame(1024)
    try #require(arena.allocator.allocate(middle, order: 0, dirty: &dirty) != nil)
    // fallocate(2) refuses a descriptor that is read-only.
    let kept = fcntl(file, F_DUPFD_CLOEXEC, 0)
    let readOnly = open("/proc/self/fd/\(file)", O_RDONLY | O_CLOEXEC)
    try #require(kept >= 0 && readOnly >= 0 && dup2(readOnly, file) == file)
    let error = #expect(throws: HoldfastError.self) { try arena.shrink(by: .mebibytes(8)) }
    #expect(error?.code == .host && error?.errno == EBADF)
    try #require(dup2(kept, file) == file)
    _ = fcntl(file, F_SETFD, FD_CLOEXEC)
    for descriptor in [kept, readOnly] { close(descriptor) }
    // The first run has no memory now, and the others are free still.
    #expect(arena.size < .mebibytes(8) && arena.size >= .mebibytes(4))
    let left = arena.allocator.occupancy
    #expect(left.free + .one == left.total)
    try arena.grow(by: arena.maximumSize - arena.size)
    #expect(arena.allocator.occupancy.free == PageCount(2047))
    let zeroed = arena.allocator.occupancy.zeroed
    #expect(zeroed == PageCount(2048) - left.total)
    var found: PageCount = .zero
    dirty = []
    while let run = arena.allocator.allocate(order: 0, dirty: &dirty)?.run, dirty.isEmpty {
      var byte: [UInt8] = [1]
      var span = byte.mutableSpan
      var raw = span.mutableBytes
      arena.read(run.start, offset: ByteCount(77), into: &raw, 0..<1)
      #expect(byte == [0])
      found += .one
    }
    #expect(found == zeroed)
  }
}
