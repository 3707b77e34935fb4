import Glibc
import Holdfast
import HoldfastCore

/// Accesses a guest's memory in its window, as the guest does: the guest's fault handler populates
/// absent pages.
struct GuestAccess: @unchecked Sendable {
  private let base: UnsafeMutableRawPointer

  init(_ memory: GuestMemory) {
    base = UnsafeMutableRawPointer(bitPattern: UInt(memory.hostAddress))!
  }

  func read(_ address: UInt64) -> UInt64 {
    base.load(fromByteOffset: Int(address), as: UInt64.self)
  }

  func write(_ value: UInt64, to address: UInt64) {
    base.storeBytes(of: value, toByteOffset: Int(address), as: UInt64.self)
  }

  /// Lets the kernel read a byte: nil with the errno where it cannot, as a virtual processor would
  /// fail.
  func readByKernel(_ address: UInt64) -> Int32? {
    var pipe: [Int32] = [0, 0]
    Glibc.pipe(&pipe)
    defer { for end in pipe { close(end) } }
    return Glibc.write(pipe[1], base + Int(address), 1) == 1 ? nil : errno
  }

  /// The first address of a range, in steps, whose word differs from the expected one.
  func firstMismatch(
    in range: Range<UInt64>, step: UInt64 = 4096, expected: (UInt64) -> UInt64
  ) -> UInt64? {
    stride(from: range.lowerBound, to: range.upperBound, by: Int(step)).first {
      read($0) != expected($0)
    }
  }
}
