internal import CHoldfastLinux
internal import HoldfastCore
internal import SystemPackage

// The boundary to the kernel for NUMA nodes.

/// The processors that a thread may run on.
struct Affinity: Equatable, Sendable {
  private let mask: [UInt64]

  private init(mask: [UInt64]) {
    self.mask = mask
  }

  /// The given processors.
  init(_ processors: [UInt32]) {
    var mask = [UInt64](repeating: 0, count: Int((processors.max() ?? 0) / 64) + 1)
    for processor in processors { mask[Int(processor / 64)] |= 1 << UInt64(processor % 64) }
    self.mask = mask
  }

  /// In ascending order.
  var processors: [UInt32] {
    mask.enumerated().flatMap { index, word in
      (0..<64).filter { word & 1 << UInt64($0) != 0 }.map { UInt32(index) * 64 + $0 }
    }
  }

  /// The calling thread's, or nil where the kernel does not tell. The corresponding C function is
  /// `sched_getaffinity`.
  static var current: Affinity? {
    var words = 16
    while words <= Int(HF_MASK_WORDS) {
      var mask = [UInt64](repeating: 0, count: words)
      // SAFETY: the buffer is the whole of `mask`, which lives through the call.
      let status = unsafe mask.withUnsafeMutableBufferPointer { buffer in
        unsafe hf_get_affinity(buffer.baseAddress!, buffer.count)
      }
      if status == 0 { return Affinity(mask: mask) }
      // The kernel's own set is larger.
      guard Errno(rawValue: -status) == .invalidArgument else { return nil }
      words *= 4
    }
    return nil
  }

  /// Lets the calling thread run there and nowhere else. The corresponding C function is
  /// `sched_setaffinity`.
  func apply() throws(Errno) {
    // SAFETY: the buffer is the whole of `mask`, which lives through the call and is not empty.
    let status = unsafe mask.withUnsafeBufferPointer { buffer in
      unsafe hf_set_affinity(buffer.baseAddress!, buffer.count)
    }
    try check(status)
  }
}
