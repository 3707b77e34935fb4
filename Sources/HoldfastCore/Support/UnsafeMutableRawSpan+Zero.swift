extension MutableRawSpan {
  /// Zeroes a part of the span.
  mutating func zero(_ part: Range<Int>) {
    precondition(part.lowerBound >= 0 && part.upperBound <= byteCount, "bytes outside of the span")
    unsafe withUnsafeMutableBytes { buffer in
      // SAFETY: the part is in the buffer, whose bytes have no other type.
      _ = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[part])
        .initializeMemory(as: UInt8.self, repeating: 0)
    }
  }
}
