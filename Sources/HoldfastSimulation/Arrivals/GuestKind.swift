/// How a guest gets its memory.
enum GuestKind: UInt8 {
  /// All of it wired at the start.
  case wired
  /// Base pages, by faults.
  case paged
  /// The memory of a running guest of its size, copied on write.
  case fork
}
