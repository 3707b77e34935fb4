public import HoldfastCore

extension GuestMemory {
  /// Copies guest bytes out. Where the guest writes at the same time, either value of a byte comes.
  ///
  /// - Throws: codes `invalidAddress` and `protectionFailure`.
  public func read(_ address: Address, into bytes: inout MutableRawSpan) throws(HoldfastError) {
    do {
      try space.read(address, into: &bytes)
    } catch {
      throw error.during("read guest memory")
    }
  }

  /// Copies bytes in.
  ///
  /// - Throws: codes `invalidAddress`, `protectionFailure`, and `resourceShortage` where a page was
  ///   absent and no frame is left.
  public func write(_ bytes: RawSpan, to address: Address) throws(HoldfastError) {
    do {
      try space.write(bytes, to: address)
    } catch {
      throw error.during("write guest memory")
    }
  }

  /// The `count` bytes from an address on; see `read(_:into:)` for a span.
  ///
  /// - Throws: code `invalidArgument` for a count that is negative or goes beyond the guest's limit,
  ///   so that a device model may pass what its guest asks for; else as `read(_:into:)`.
  public func read(_ address: Address, count: Int) throws(HoldfastError) -> [UInt8] {
    guard let length = UInt64(exactly: count), address <= .zero + limit,
      length <= (.zero + limit - address).rawValue
    else {
      throw HoldfastError(
        .invalidArgument, operation: "read guest memory",
        reason: "\(count) bytes at \(address) go beyond \(limit)")
    }
    var bytes = [UInt8](repeating: 0, count: count)
    // SAFETY: the span covers `bytes` and does not outlive the call.
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try read(address, into: &raw)
    return bytes
  }

  /// Copies bytes in; see `write(_:to:)` for a span and the errors.
  public func write(_ bytes: [UInt8], to address: Address) throws(HoldfastError) {
    try unsafe write(bytes.span.bytes, to: address)
  }
}
