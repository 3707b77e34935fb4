import CHoldfastLinux
import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

struct ZeroingTests {
  @Test func `memset is always supported, and other ways as /proc/cpuinfo says`() throws {
    #expect(ZeroingKernel.memset.isSupported)
    #expect(ZeroingKernel.supported.contains(.memset))
    #if arch(x86_64)
      #expect(ZeroingKernel.streamSSE2.isSupported && !ZeroingKernel.dcZVA.isSupported)
      // The kernel found out by itself.
      let text = try #require(HostFiles(root: "/").text("/proc/cpuinfo"))
      let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("flags") })
      let flags = Set(line.split(separator: " ").map(String.init))
      for (kernel, flag) in [
        (ZeroingKernel.repStosb, "erms"), (.streamAVX2, "avx2"), (.streamAVX512, "avx512f"),
        (.clzero, "clzero"),
      ] {
        #expect(kernel.isSupported == flags.contains(flag), "\(kernel)")
      }
    #endif
  }

  @Test(arguments: ZeroingKernel.supported)
  func `a kernel zeroes its range and no other byte`(kernel: ZeroingKernel) {
    let room = (2 << 20) + (8 << 10)
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 4096)
    defer { memory.deallocate() }
    let sizes = [
      0, 1, 63, 64, 127, 128, 129, 4096, 4097, 4159, 8192, 65536, 65536 + 192, 1 << 20,
      (2 << 20) + 17,
    ]
    for size in sizes {
      for start in [0, 1, 16, 63, 64, 1000] {
        memset(memory.baseAddress!, 0xA5, room)
        let origin = 1024 + start
        hf_zero_by(kernel.number, memory.baseAddress! + origin, size)
        // Compared at once: byte by byte takes seconds.
        let before = memory[..<origin]
        let inside = memory[origin..<origin + size]
        let after = memory[(origin + size)...]
        #expect(
          isAll(before, 0xA5) && isAll(inside, 0) && isAll(after, 0xA5), "\(size) at \(start)")
      }
    }
  }

  private func isAll(_ bytes: Slice<UnsafeMutableRawBufferPointer>, _ byte: UInt8) -> Bool {
    let bytes = UnsafeRawBufferPointer(rebasing: bytes)
    guard let base = bytes.baseAddress, !bytes.isEmpty else { return true }
    // Each byte is the one before it, and the first is right.
    return bytes[0] == byte && memcmp(base, base + 1, bytes.count - 1) == 0
  }

  @Test func `the fastest is chosen, and slow ones are not measured again`() {
    var speeds: [ZeroingKernel: [Double]] = [
      .memset: [3e9], .streamSSE2: [8e9, 9e9], .clzero: [9e9, 8e9], .streamAVX2: [7e9, 11e9],
    ]
    let order: [ZeroingKernel] = [.memset, .streamSSE2, .streamAVX2, .clzero]
    let choice = ZeroingChoice.measured(order, threads: 4) { kernel in
      speeds[kernel]?.isEmpty == false ? speeds[kernel]!.removeFirst() : 0
    }
    #expect(choice.kernel == .streamAVX2 && choice.origin == .measured && choice.threads == 4)
    #expect(choice.speeds.map(\.kernel) == order)
    #expect(choice.speeds.map(\.bytesPerSecond) == [3e9, 9e9, 11e9, 9e9])
    #expect(speeds.values.allSatisfy { $0.isEmpty })
  }

  @Test func `unknown and unsupported names are errors`() throws {
    let error = #expect(throws: HoldfastError.self) { try ZeroingChoice.named("bogus") }
    #expect(error?.reason == "'bogus' is not a way to zero memory")
    #expect(error?.advice?.description.contains("memset") == true)
    for kernel in ZeroingKernel.allCases {
      if kernel.isSupported {
        #expect(try ZeroingChoice.named(kernel.rawValue) == kernel)
      } else {
        #expect(throws: HoldfastError.self) { try ZeroingChoice.named(kernel.rawValue) }
      }
    }
  }

  @Test func `the first large arena is measured in, and zero afterwards`() async {
    // In a separate process, which has chosen no way yet.
    await #expect(processExitsWith: .success) {
      let size = ByteCount(UInt64(Zeroing.slice) + (2 << 20))
      guard HostProbe().host().availableForGuests > size + .mebibytes(256) else { return }
      _ = try Arena(size: .mebibytes(2), backing: .base)
      precondition(Zeroing.made == nil)
      let arena = try Arena(size: size, backing: .base, threads: 2)
      precondition(arena.isZero(arena.allocator.frames))
      let choice = try #require(Zeroing.made)
      precondition(choice.origin == .measured && choice.threads == 2)
      precondition(choice.speeds.map(\.kernel) == ZeroingKernel.supported)
      precondition(choice.speeds.allSatisfy { $0.bytesPerSecond > 0 })
      let best = choice.speeds.max { $0.bytesPerSecond < $1.bytesPerSecond }
      precondition(best?.kernel == choice.kernel)
      // Once and for all.
      precondition(ZeroingChoice.current(HostProbe().host()) == choice)
    }
  }

  @Test func `the environment names the choice`() async {
    await #expect(processExitsWith: .success) {
      setenv(ZeroingChoice.variable, "memset", 1)
      let choice = ZeroingChoice.current(HostProbe().host())
      precondition(choice.kernel == .memset && choice.origin == .environment)
      precondition(choice.speeds.count == ZeroingKernel.supported.count || choice.speeds.isEmpty)
    }
  }
}
