internal import CHoldfastLinux
internal import HoldfastCore
package import SystemPackage

// The boundary to the kernel for memory: thin wrappers, results as thrown errnos. What a pointer
// here points at is addresses of this process, never memory that Swift reads through it.

/// Addresses of this process that a reservation holds, from an aligned start on.
@safe
package struct HostRange: @unchecked Sendable {
  // SAFETY: only handed to the kernel or to copying and zeroing within `length`, by types that own
  // the reservation for as long as they use it.
  let start: UnsafeMutableRawPointer
  let length: ByteCount

  func pointer(at offset: ByteCount) -> UnsafeMutableRawPointer {
    unsafe start + Int(offset.rawValue)
  }

  /// The address as a number, for receipts and `/proc`.
  package var address: UInt64 { unsafe UInt64(UInt(bitPattern: start)) }
}

extension HostRange {
  /// Reserves `length` bytes of addresses at a multiple of `alignment`, without memory. The
  /// corresponding C function is `mmap`.
  static func reserve(_ length: ByteCount, alignment: ByteCount) throws(Errno) -> HostRange {
    guard let total = length.roundedUp(to: .kibibytes(4)).map({ $0.rawValue }),
      case (let sum, let overflow) = total.addingReportingOverflow(alignment.rawValue), !overflow,
      sum <= UInt64(Int.max)
    else { throw .noMemory }
    var found: UnsafeMutableRawPointer?
    try unsafe check(hf_reserve(Int(sum), &found))
    guard let place = unsafe found else { throw .noMemory }
    let first = UInt64(UInt(bitPattern: place))
    let skip = (alignment.rawValue - first % alignment.rawValue) % alignment.rawValue
    // Giving back what the alignment skipped cannot fail: it only shortens a mapping.
    if skip > 0 { _ = unsafe hf_unmap(place, Int(skip)) }
    let start = unsafe place + Int(skip)
    let rest = alignment.rawValue - skip
    if rest > 0 { _ = unsafe hf_unmap(start + Int(total), Int(rest)) }
    return unsafe HostRange(start: start, length: ByteCount(total))
  }

  /// Memory of this process alone, all of it there, of huge pages where the host gives them. The
  /// corresponding C functions are `mmap` and `madvise`.
  static func scratch(_ length: ByteCount) throws(Errno) -> HostRange {
    let range = try reserve(length, alignment: .mebibytes(2))
    do throws(Errno) {
      try range.protect(0..<range.length.rawValue, .readWrite)
      try? range.adviseHuge(0..<range.length.rawValue, true)
      try range.populate(0..<range.length.rawValue, .readWrite)
      return range
    } catch {
      range.release()
      throw error
    }
  }

  /// A part of the reservation, which goes on owning it.
  func part(_ offset: ByteCount, length: ByteCount) -> HostRange {
    precondition(
      offset <= self.length && length <= self.length - offset, "a part outside of its range")
    return unsafe HostRange(start: pointer(at: offset), length: length)
  }

  /// Gives the addresses and what is mapped there back. The corresponding C function is `munmap`.
  func release() {
    _ = unsafe hf_unmap(start, Int(length.rawValue))
  }

  /// Maps a part of a file. The corresponding C function is `mmap`, with MAP_SHARED and MAP_FIXED.
  ///
  func map(
    _ part: Range<UInt64>, _ protection: Protection, file: Int32, offset: UInt64, advice: Advice
  ) throws(Errno) {
    try unsafe check(
      hf_map(
        start + Int(part.lowerBound), part.count, access(protection), file, offset,
        advice.rawValue))
  }

  /// What the kernel is told of a mapping of a file.
  enum Advice: Int32 {
    case none = 0
    /// It is not in core dumps (MADV_DONTDUMP).
    case noDump = 1
    /// The same, and the kernel keeps to base pages (MADV_NOHUGEPAGE).
    case basePages = 2
  }

  /// Takes what is mapped in a part away. The corresponding C function is `mmap`.
  func unmap(_ part: Range<UInt64>) throws(Errno) {
    try unsafe check(hf_reserve_again(start + Int(part.lowerBound), part.count))
  }

  /// The corresponding C function is `mprotect`.
  func protect(_ part: Range<UInt64>, _ protection: Protection) throws(Errno) {
    try unsafe check(hf_protect(start + Int(part.lowerBound), part.count, access(protection)))
  }

  /// Keeps private memory to this process. The corresponding C function is `madvise`, with MADV_DONTDUMP
  /// and MADV_DONTFORK.
  func keepPrivate(_ part: Range<UInt64>) throws(Errno) {
    try unsafe check(hf_keep_private(start + Int(part.lowerBound), part.count))
  }

  /// Installs every page of a part. The corresponding C function is `madvise`, with
  /// MADV_POPULATE_WRITE or MADV_POPULATE_READ: shortage is an error, never SIGBUS.
  func populate(_ part: Range<UInt64>, _ protection: Protection) throws(Errno) {
    try unsafe check(hf_populate(start + Int(part.lowerBound), part.count, access(protection)))
  }

  /// The corresponding C function is `madvise`, with MADV_HUGEPAGE or MADV_NOHUGEPAGE.
  func adviseHuge(_ part: Range<UInt64>, _ wanted: Bool) throws(Errno) {
    try unsafe check(hf_advise_huge(start + Int(part.lowerBound), part.count, wanted ? 1 : 0))
  }

  /// The corresponding C function is `mlock`.
  func lock(_ part: Range<UInt64>) throws(Errno) {
    try unsafe check(hf_lock(start + Int(part.lowerBound), part.count))
  }

  /// How many of the 4 KiB pages of a part are resident. The corresponding C function is `mincore`.
  package func residentPages(_ part: Range<UInt64>) throws(Errno) -> UInt64 {
    var resident: UInt64 = 0
    var place = part.lowerBound
    var flags = [UInt8](repeating: 0, count: 1 << 16)
    while place < part.upperBound {
      let pages = min(UInt64(flags.count), (part.upperBound - place + 4095) >> 12)
      let length = min(pages << 12, part.upperBound - place)
      // SAFETY: the call writes one byte for each page, and there are at least as many.
      let status = unsafe flags.withUnsafeMutableBufferPointer { buffer in
        unsafe hf_mincore(start + Int(place), Int(length), buffer.baseAddress!)
      }
      try check(status)
      for page in 0..<Int(pages) where flags[page] & 1 != 0 { resident += 1 }
      place += length
    }
    return resident
  }

  private func access(_ protection: Protection) -> Int32 {
    (protection.isDisjoint(with: [.read, .execute]) ? 0 : Int32(HF_READ))
      | (protection.contains(.write) ? Int32(HF_WRITE) : 0)
  }
}

/// Throws what a C function of this project returned as a negative errno.
func check(_ status: Int32) throws(Errno) {
  if status < 0 { throw Errno(rawValue: -status) }
}

/// A file in memory, closed when its last reference goes. Whoever maps it takes the mapping away before he
/// lets go of it, so nothing of this process is left of it then.
final class MemoryFile: Sendable {
  let descriptor: Int32
  /// Whose the descriptor is, where it is an adopted file's. Only changed at the end.
  private nonisolated(unsafe) var owner: OpenFile?
  /// Set before the file is shared.
  private nonisolated(unsafe) var afterwards: (@Sendable () -> Void)?

  /// A file that others have made.
  init(_ file: OpenFile) {
    descriptor = file.descriptor
    unsafe owner = file
  }

  /// Has a closure called once the file is closed, by the thread that has let the last reference go.
  /// Called before the file is shared.
  func whenClosed(_ body: @escaping @Sendable () -> Void) {
    unsafe afterwards = body
  }

  /// The corresponding C function is `memfd_create`; with `hugePageSize` the file is of hugetlb
  /// pages of that size.
  init(_ name: String, hugePageSize: ByteCount?) throws(Errno) {
    let shift = hugePageSize.map { UInt32($0.rawValue.trailingZeroBitCount) } ?? 0
    let result = unsafe hf_memfd_create(name, shift)
    try check(result)
    descriptor = result
  }

  deinit {
    if unsafe owner == nil { _ = hf_close(descriptor) }
    unsafe owner = nil
    unsafe afterwards?()
  }

  /// Sets the size for good. The corresponding C functions are `ftruncate` and `fcntl` with
  /// F_SEAL_SHRINK and F_SEAL_GROW.
  func setSize(_ size: ByteCount) throws(Errno) {
    try check(hf_truncate(descriptor, size.rawValue))
    try check(hf_seal_size(descriptor))
  }

  /// Gives the memory of a part back to the host. The corresponding C function is `fallocate`, with
  /// FALLOC_FL_PUNCH_HOLE.
  func punch(_ part: Range<UInt64>) throws(Errno) {
    try check(hf_punch(descriptor, part.lowerBound, UInt64(part.count)))
  }
}

/// A userfaultfd for minor faults, closed when its last reference goes.
final class UserFault: Sendable {
  let descriptor: Int32
  private let pageSize: Int

  /// The corresponding C function is `userfaultfd`.
  ///
  /// - Throws: `permissionDenied`, `notPermitted` or `notSupported` where the host lacks it.
  init(geometry: Geometry) throws(Errno) {
    let result = hf_userfault_open(geometry.pageShift > 12 ? 1 : 0)
    try check(result)
    descriptor = result
    pageSize = Int(geometry.pageSize.rawValue)
  }

  deinit {
    _ = hf_close(descriptor)
  }

  /// The corresponding request is `UFFDIO_REGISTER` with UFFDIO_REGISTER_MODE_MINOR.
  func registerMinor(_ range: HostRange, _ part: Range<UInt64>) throws(Errno) {
    try unsafe check(
      hf_userfault_register_minor(
        descriptor, range.start + Int(part.lowerBound), part.count))
  }

  /// The corresponding request is `UFFDIO_CONTINUE`.
  func resume(_ range: HostRange, _ part: Range<UInt64>) throws(Errno) {
    try unsafe check(
      hf_userfault_continue(
        descriptor, range.start + Int(part.lowerBound), part.count, pageSize))
  }

  /// The corresponding request is `UFFDIO_UNREGISTER`.
  func unregister(_ range: HostRange, _ part: Range<UInt64>) throws(Errno) {
    try unsafe check(
      hf_userfault_unregister(descriptor, range.start + Int(part.lowerBound), part.count))
  }

  /// The corresponding request is `UFFDIO_WAKE`.
  func wake(_ range: HostRange, _ part: Range<UInt64>) {
    // It fails only for a range that is none.
    _ = unsafe hf_userfault_wake(descriptor, range.start + Int(part.lowerBound), part.count)
  }
}
