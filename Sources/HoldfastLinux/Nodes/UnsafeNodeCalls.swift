internal import CHoldfastLinux
internal import HoldfastCore
internal import SystemPackage

// The boundary to the kernel for NUMA nodes.

/// A set of small numbers as the kernel takes it: words of 64 bits.
private struct KernelMask: Equatable, Sendable {
  var words: [UInt64]

  init(words: [UInt64]) {
    self.words = words
  }

  init(_ numbers: [UInt32]) {
    words = [UInt64](repeating: 0, count: Int((numbers.max() ?? 0) / 64) + 1)
    for number in numbers { words[Int(number / 64)] |= 1 << UInt64(number % 64) }
  }

  /// In ascending order.
  var numbers: [UInt32] {
    words.enumerated().flatMap { index, word in
      (0..<64).filter { word & 1 << UInt64($0) != 0 }.map { UInt32(index) * 64 + $0 }
    }
  }
}

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

  /// In ascending order.
  var processors: [UInt32] { mask.numbers }

  /// The calling thread's, or nil where the kernel does not tell. The corresponding C function is
  /// `sched_getaffinity`.
  static var current: Affinity? {
    var count = 16
    while count <= Int(HF_MASK_WORDS) {
      var words = [UInt64](repeating: 0, count: count)
      // SAFETY: the buffer is the whole of `words`, which lives through the call.
      let status = unsafe words.withUnsafeMutableBufferPointer { buffer in
        unsafe hf_get_affinity(buffer.baseAddress!, buffer.count)
      }
      if status == 0 { return Affinity(mask: KernelMask(words: words)) }
      // The kernel's own set is larger.
      guard Errno(rawValue: -status) == .invalidArgument else { return nil }
      count *= 4
    }
    return nil
  }

  /// Lets the calling thread run there and nowhere else. The corresponding C function is
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

extension HostRange {
  /// Sets where pages of a part come from that are not there yet; on a mapping of a file that is the
  /// file's matter. The corresponding C function is `mbind`.
  func bind(_ part: Range<UInt64>, to nodes: [NodeID], _ policy: HostNodes.Policy) throws(Errno) {
    let words = KernelMask(nodes.map(\.rawValue)).words
    // SAFETY: the buffer is the whole of the mask, which lives through the call.
    let status = unsafe words.withUnsafeBufferPointer { buffer in
      unsafe hf_bind(
        start + Int(part.lowerBound), part.count, policy.rawMode, buffer.baseAddress!,
        buffer.count)
    }
    try check(status)
  }

  /// The node of the page at each multiple of `step` in a part, or nil where the page is not in the
  /// page tables. The corresponding C function is `move_pages`, which is given no node to move to.
  func nodes(
    _ part: Range<UInt64>, step: UInt64, _ body: (_ offset: UInt64, NodeID?) -> Void
  ) throws(Errno) {
    var offset = part.lowerBound
    while offset < part.upperBound {
      let count = Int(min((part.upperBound - offset + step - 1) / step, 4096))
      var found = [Int32](repeating: -1, count: count)
      let pages = unsafe (0..<count).map {
        unsafe pointer(at: ByteCount(offset + UInt64($0) * step))
      }
      // SAFETY: both buffers are the whole of arrays of `count` elements that live through the call;
      // the kernel does not touch the pages.
      let status = unsafe pages.withUnsafeBufferPointer { pages in
        unsafe found.withUnsafeMutableBufferPointer { found in
          unsafe hf_nodes_of(pages.baseAddress!, count, found.baseAddress!)
        }
      }
      try check(status)
      for node in found {
        body(offset, node < 0 ? nil : NodeID(UInt32(node)))
        offset += step
      }
    }
  }
}

extension HostNodes {
  /// Calls the body with memory that this thread, and threads that it makes, touch first coming from
  /// these nodes, as far as the host lets it. The corresponding C function is `set_mempolicy`.
  package func whileTouching<Result>(_ body: () -> Result) -> Result {
    let words = KernelMask(nodes.map(\.rawValue)).words
    // SAFETY: the buffer is the whole of the mask, which lives through the call.
    let status = unsafe words.withUnsafeBufferPointer { buffer in
      unsafe hf_set_policy(policy.rawMode, buffer.baseAddress, buffer.count)
    }
    defer { if status == 0 { _ = hf_set_policy(0, nil, 0) } }
    return body()
  }
}

extension HostNodes.Policy {
  fileprivate var rawMode: Int32 { self == .bind ? Int32(HF_BIND) : Int32(HF_PREFER) }
}
