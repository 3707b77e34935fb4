internal import CHoldfastLinux
internal import HoldfastCore
internal import SystemPackage

// The boundary to the kernel for the nodes of memory.

extension HostRange {
  /// Sets the nodes that absent pages of a part come from; on a mapping of a file the policy is the
  /// file's. The corresponding C function is `mbind`.
  func bind(_ part: Range<UInt64>, to nodes: [NodeID], _ policy: HostNodes.Policy) throws(Errno) {
    // The mask would leave out what the kernel does not know.
    guard nodes.allSatisfy({ $0.rawValue < 1024 }) else { throw .invalidArgument }
    let words = KernelMask(nodes.map(\.rawValue)).words
    // SAFETY: the buffer is the whole of the mask, which lives through the call.
    let status = unsafe words.withUnsafeBufferPointer { buffer in
      unsafe hf_bind(
        start + Int(part.lowerBound), part.count, policy.rawMode, buffer.baseAddress!,
        buffer.count)
    }
    try check(status)
  }

  /// Calls `body` with the node of the page at each multiple of `step` bytes of a part, or nil if
  /// the page is not in the page tables. The corresponding C function is `move_pages`, without
  /// nodes to move to.
  ///
  /// - Complexity: O(pages).
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
      // SAFETY: both buffers are the whole of arrays of `count` elements that live through the
      // call; the kernel does not access the pages.
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
  /// Calls `body` with these nodes as the calling thread's memory policy, for pages that it and the
  /// threads that it creates are the first to access. Does without where the host refuses. The
  /// corresponding C function is `set_mempolicy`.
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
