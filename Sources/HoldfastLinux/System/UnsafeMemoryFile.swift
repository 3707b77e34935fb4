internal import CHoldfastLinux
internal import HoldfastCore
internal import SystemPackage

/// The file behind an arena: a memfd, or an adopted file. Closed with its last reference.
///
/// An owner that maps the file unmaps it before it drops its reference, so nothing of the file is
/// left in this process then.
final class MemoryFile: Sendable {
  /// The file's descriptor.
  let descriptor: Int32
  /// The owner of the descriptor of an adopted file. Changed only by `deinit`.
  private nonisolated(unsafe) var owner: OpenFile?
  /// Set before the file is shared.
  private nonisolated(unsafe) var afterwards: (@Sendable () -> Void)?

  /// An adopted file.
  init(_ file: OpenFile) {
    descriptor = file.descriptor
    unsafe owner = file
  }

  /// A new file in memory; `hugePageSize` is that of its hugetlb pages, or nil for shmem. The
  /// corresponding C function is `memfd_create`.
  init(_ name: String, hugePageSize: ByteCount?) throws(Errno) {
    let shift = hugePageSize.map { UInt32($0.rawValue.trailingZeroBitCount) } ?? 0
    let result = unsafe hf_memfd_create(name, shift)
    try check(result)
    descriptor = result
  }

  /// Has `body` called once the file is closed, by the thread that drops the last reference. Called
  /// before the file is shared.
  func whenClosed(_ body: @escaping @Sendable () -> Void) {
    unsafe afterwards = body
  }

  deinit {
    if unsafe owner == nil { _ = hf_close(descriptor) }
    unsafe owner = nil
    unsafe afterwards?()
  }

  /// Sets the size and seals it. The corresponding C functions are `ftruncate` and `fcntl`, with
  /// F_SEAL_SHRINK and F_SEAL_GROW.
  func setSize(_ size: ByteCount) throws(Errno) {
    try check(hf_truncate(descriptor, size.rawValue))
    try check(hf_seal_size(descriptor))
  }

  /// Returns the memory of a part to the host. The corresponding C function is `fallocate`, with
  /// FALLOC_FL_PUNCH_HOLE.
  func punch(_ part: Range<UInt64>) throws(Errno) {
    try check(hf_punch(descriptor, part.lowerBound, UInt64(part.count)))
  }
}
