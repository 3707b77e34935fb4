internal import Glibc
internal import Holdfast
internal import HoldfastCore

/// Touches of a guest's window, as its processors and device models make them.
enum GuestBytes {
  /// Writes a word. What cannot be had ends the process.
  static func store(_ value: UInt64, _ memory: GuestMemory, at address: Address) {
    precondition(address < .zero + memory.limit, "outside of the guest")
    // SAFETY: within the window, which `memory` keeps; the word is nobody else's.
    withExtendedLifetime(memory) {
      unsafe place(memory, address).storeBytes(of: value, as: UInt64.self)
    }
  }

  /// Has the kernel write a word, for which memory that cannot be had is an error.
  static func storeByKernel(_ memory: GuestMemory, at address: Address) {
    precondition(address < .zero + memory.limit, "outside of the guest")
    // SAFETY: as above; the kernel checks what it may write.
    withExtendedLifetime(memory) {
      _ = unsafe read(zeros, place(memory, address), 8)
    }
  }

  // SAFETY: the path's bytes live through the call.
  private static let zeros = unsafe open("/dev/zero", O_RDONLY | O_CLOEXEC)

  private static func place(_ memory: GuestMemory, _ address: Address) -> UnsafeMutableRawPointer {
    let number = UInt(memory.hostAddress + address.rawValue)
    guard let place = unsafe UnsafeMutableRawPointer(bitPattern: number) else {
      preconditionFailure("a window at address 0")
    }
    return unsafe place
  }
}

enum WorkPause {
  /// Lets others run for a moment.
  static func moment() { usleep(200) }
}
