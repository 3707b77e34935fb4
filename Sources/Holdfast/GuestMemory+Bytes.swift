public import HoldfastCore

extension GuestMemory {
  /// Copies guest bytes out. Absent pages are read as zero, or from their snapshot, and stay absent
  /// where they have no snapshot. A byte that the guest writes meanwhile is read as it was before
  /// or after.
  ///
  /// - Parameters:
  ///   - address: the first byte; it need not be aligned.
  ///   - bytes: where the bytes go. All of it is filled.
  /// - Throws: code `invalidArgument` where the bytes extend past the last address;
  ///   `invalidAddress` where a part is not mapped; `protectionFailure` where it is not readable;
  ///   `pagerFailure` and `resourceShortage` where a page of a snapshot cannot be read or has no
  ///   free frame. The bytes before the failure are copied.
  /// - Complexity: O(bytes + runs). Takes the address space's lock shared and the objects' locks,
  ///   128 KiB at a time.
  public func read(_ address: Address, into bytes: inout MutableRawSpan) throws(HoldfastError) {
    do {
      try space.read(address, into: &bytes)
    } catch {
      throw error.during("read guest memory")
    }
  }

  /// Copies bytes into guest memory. Absent pages are populated, and pages that are shared with a
  /// fork are copied first.
  ///
  /// - Parameters:
  ///   - bytes: the bytes to copy.
  ///   - address: where the first byte goes; it need not be aligned.
  /// - Throws: code `invalidArgument` where the bytes extend past the last address;
  ///   `invalidAddress` where a part is not mapped; `protectionFailure` where it is not writable;
  ///   `resourceShortage` where no frame is free; `pagerFailure` where a page of a snapshot cannot
  ///   be read. The bytes before the failure are copied.
  /// - Complexity: O(bytes + runs). Takes the address space's lock shared and the objects' locks,
  ///   128 KiB at a time.
  public func write(_ bytes: RawSpan, to address: Address) throws(HoldfastError) {
    do {
      try space.write(bytes, to: address, enters: faultServing == .processors)
    } catch {
      // A page may have become resident without being entered.
      leaveToHandlerThreads(containing: address, ByteCount(UInt64(bytes.byteCount)))
      throw error.during("write guest memory")
    }
  }

  /// Returns a copy of `count` bytes; see `read(_:into:)`.
  ///
  /// - Throws: code `invalidArgument` where the count is negative or extends past the guest's
  ///   limit, so a device model may pass the numbers that its guest gives; otherwise as
  ///   `read(_:into:)`.
  public func read(_ address: Address, count: Int) throws(HoldfastError) -> [UInt8] {
    guard let length = UInt64(exactly: count), address <= .zero + limit,
      length <= (.zero + limit - address).rawValue
    else {
      throw HoldfastError(
        .invalidArgument, operation: "read guest memory",
        reason: "\(count) bytes at \(address) extend past the guest's limit of \(limit)")
    }
    var bytes = [UInt8](repeating: 0, count: count)
    // SAFETY: the span covers `bytes` and does not outlive the call.
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try read(address, into: &raw)
    return bytes
  }

  /// Copies bytes into guest memory; see the `write(_:to:)` that takes a span.
  public func write(_ bytes: [UInt8], to address: Address) throws(HoldfastError) {
    try unsafe write(bytes.span.bytes, to: address)
  }
}
