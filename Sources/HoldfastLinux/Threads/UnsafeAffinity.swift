internal import CHoldfastLinux
internal import HoldfastCore
internal import SystemPackage

/// The processors that a thread may run on.
struct Affinity: Equatable, Sendable {
  private let mask: KernelMask

  /// The given processors, at least one.
  init(_ processors: [UInt32]) {
    mask = KernelMask(processors)
  }

  private init(mask: KernelMask) {
    self.mask = mask
  }

  /// The processors in ascending order.
  var processors: [UInt32] { mask.numbers }

  /// The calling thread's affinity, or nil if the kernel does not report it. The corresponding C
  /// function is `sched_getaffinity`.
  static var current: Affinity? {
    var count = 16
    while count <= Int(HF_MASK_WORDS) {
      var words = [UInt64](repeating: 0, count: count)
      // SAFETY: the buffer is the whole of `words`, which lives through the call.
      let status = unsafe words.withUnsafeMutableBufferPointer { buffer in
        unsafe hf_get_affinity(buffer.baseAddress!, buffer.count)
      }
      if status == 0 { return Affinity(mask: KernelMask(words: words)) }
      // The kernel's own mask is larger.
      guard Errno(rawValue: -status) == .invalidArgument else { return nil }
      count *= 4
    }
    return nil
  }

  /// Restricts the calling thread to these processors. The corresponding C function is
  /// `sched_setaffinity`.
  func apply() throws(Errno) {
    // SAFETY: the buffer is the whole of the mask, which lives through the call and is not empty.
    let status = unsafe mask.words.withUnsafeBufferPointer { buffer in
      unsafe hf_set_affinity(buffer.baseAddress!, buffer.count)
    }
    try check(status)
  }
}

extension NodeID {
  /// The node of the processor that runs the caller, or nil. The corresponding C function is
  /// `getcpu`.
  static var current: NodeID? {
    let node = hf_current_node()
    return node < 0 ? nil : NodeID(UInt32(node))
  }
}
