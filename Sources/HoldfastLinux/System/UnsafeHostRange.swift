internal import CHoldfastLinux
internal import HoldfastCore
package import SystemPackage

// The boundary to the kernel for memory: thin wrappers that throw the errno of a failed call. What
// a pointer here points to is addresses of this process, never memory that Swift reads through it.

/// A range of this process's addresses, aligned and reserved as one mapping (mmap(2), PROT_NONE).
///
/// A plain value: its owner calls `unmap` once. Parts are given as byte offsets from the start.
@safe
package struct HostRange: @unchecked Sendable {
  // SAFETY: passed only to the kernel, or to copying and zeroing within `length`, by types that own
  // the range for as long as they use it.
  let start: UnsafeMutableRawPointer
  /// The length in bytes.
  let length: ByteCount

  /// The address of a byte of the range.
  func pointer(at offset: ByteCount) -> UnsafeMutableRawPointer {
    unsafe start + Int(offset.rawValue)
  }

  /// The start as a number, for receipts and `/proc`.
  package var address: UInt64 { unsafe UInt64(UInt(bitPattern: start)) }
}

// MARK: Making and ending ranges

extension HostRange {
  /// Reserves `length` bytes of addresses at a multiple of `alignment`, without memory. The
  /// corresponding C function is `mmap`, with PROT_NONE and MAP_NORESERVE.
  static func reserve(_ length: ByteCount, alignment: ByteCount) throws(Errno) -> HostRange {
    guard let total = length.roundedUp(to: .kibibytes(4)).map({ $0.rawValue }),
      case (let sum, let overflow) = total.addingReportingOverflow(alignment.rawValue), !overflow,
      sum <= UInt64(Int.max)
    else { throw .noMemory }
    var found: UnsafeMutableRawPointer?
    try unsafe check(hf_reserve(Int(sum), &found))
    guard let whole = unsafe found else { throw .noMemory }
    let first = UInt64(UInt(bitPattern: whole))
    let skip = (alignment.rawValue - first % alignment.rawValue) % alignment.rawValue
    // Unmapping what the alignment skips cannot fail: it only shortens a mapping.
    if skip > 0 { _ = unsafe hf_unmap(whole, Int(skip)) }
    let start = unsafe whole + Int(skip)
    let rest = alignment.rawValue - skip
    if rest > 0 { _ = unsafe hf_unmap(start + Int(total), Int(rest)) }
    return unsafe HostRange(start: start, length: ByteCount(total))
  }

  /// Private memory, populated, of huge pages where the host has them. The corresponding C
  /// functions are `mmap` and `madvise`.
  static func scratch(_ length: ByteCount) throws(Errno) -> HostRange {
    let range = try reserve(length, alignment: .mebibytes(2))
    do throws(Errno) {
      try range.protect(0..<range.length.rawValue, .readWrite)
      try? range.adviseHuge(0..<range.length.rawValue, true)
      try range.populate(0..<range.length.rawValue, .readWrite)
      return range
    } catch {
      range.unmap()
      throw error
    }
  }

  /// Private memory without pages or access, at an address that the kernel chooses. The
  /// corresponding C function is `mmap`, with MAP_ANONYMOUS and PROT_NONE.
  ///
  /// Its owner gives access after it has trapped the pages: under mlockall(2) the kernel populates
  /// what is accessible.
  static func anonymous(_ length: UInt64) throws(Errno) -> HostRange {
    var found: UnsafeMutableRawPointer?
    try unsafe check(hf_map_anonymous(Int(length), &found))
    guard let start = unsafe found else { throw .noMemory }
    return unsafe HostRange(start: start, length: ByteCount(length))
  }

  /// A part of a file, shared and without access, at an address that the kernel chooses. The
  /// corresponding C function is `mmap`, with MAP_SHARED and PROT_NONE. Access follows as for
  /// `anonymous`.
  static func shared(
    _ length: UInt64, file: Int32, offset: UInt64, advice: Advice
  ) throws(Errno) -> HostRange {
    var found: UnsafeMutableRawPointer?
    try unsafe check(hf_map_anywhere(Int(length), file, offset, advice.rawValue, &found))
    guard let start = unsafe found else { throw .noMemory }
    return unsafe HostRange(start: start, length: ByteCount(length))
  }

  /// A part of the range, which keeps its owner.
  func part(_ offset: ByteCount, length: ByteCount) -> HostRange {
    precondition(
      offset <= self.length && length <= self.length - offset, "a part outside of its range")
    return unsafe HostRange(start: pointer(at: offset), length: length)
  }

  /// Ends the range, with all that is mapped in it. The corresponding C function is `munmap`.
  func unmap() {
    _ = unsafe hf_unmap(start, Int(length.rawValue))
  }
}

// MARK: Changing what is mapped

extension HostRange {
  /// Advice to the kernel about a mapping of a file. Each is excluded from children of fork(2),
  /// where userfaultfd would trap nothing (MADV_DONTFORK).
  enum Advice: Int32 {
    case none = 0
    /// Exclude it from core dumps (MADV_DONTDUMP).
    case noDump = 1
    /// The same, and map base pages only (MADV_NOHUGEPAGE).
    case basePages = 2
  }

  /// Maps a part of a file, in place of what is mapped there. The corresponding C function is
  /// `mmap`, with MAP_SHARED and MAP_FIXED.
  func map(
    _ part: Range<UInt64>, _ protection: Protection, file: Int32, offset: UInt64, advice: Advice
  ) throws(Errno) {
    try unsafe check(
      hf_map(
        start + Int(part.lowerBound), part.count, access(protection), file, offset,
        advice.rawValue))
  }

  /// Makes a part a reservation again, in place of what is mapped there. The corresponding C
  /// function is `mmap`, with PROT_NONE and MAP_FIXED.
  func reserveFixed(_ part: Range<UInt64>) throws(Errno) {
    try unsafe check(hf_reserve_fixed(start + Int(part.lowerBound), part.count))
  }

  /// Moves this whole mapping over a part of another range; other threads see one or the other, at
  /// every moment. The corresponding C function is `mremap`, with MREMAP_FIXED.
  func move(to range: HostRange, at offset: UInt64) throws(Errno) {
    try unsafe check(hf_move(start, Int(length.rawValue), range.start + Int(offset)))
  }

  /// The corresponding C function is `mprotect`.
  func protect(_ part: Range<UInt64>, _ protection: Protection) throws(Errno) {
    try unsafe check(hf_protect(start + Int(part.lowerBound), part.count, access(protection)))
  }

  /// Excludes private memory from core dumps and from children of fork(2). The corresponding C
  /// function is `madvise`, with MADV_DONTDUMP and MADV_DONTFORK.
  func keepPrivate(_ part: Range<UInt64>) throws(Errno) {
    try unsafe check(hf_keep_private(start + Int(part.lowerBound), part.count))
  }

  /// Populates a part. The corresponding C function is `madvise`, with MADV_POPULATE_WRITE or
  /// MADV_POPULATE_READ: a shortage is an error, never SIGBUS.
  ///
  /// - Throws: `noMemory` for every shortage. The kernel reports EFAULT, "Bad address", where an
  ///   access would raise SIGBUS: if a hugetlb cgroup or the file system has reached its limit, or
  ///   the file has been truncated.
  func populate(_ part: Range<UInt64>, _ protection: Protection) throws(Errno) {
    do throws(Errno) {
      try unsafe check(hf_populate(start + Int(part.lowerBound), part.count, access(protection)))
    } catch {
      throw error == .badAddress ? .noMemory : error
    }
  }

  /// Removes the page-table entries of a shared part, locked or not; the file keeps its pages. The
  /// corresponding C function is `madvise`, with MADV_DONTNEED_LOCKED.
  func dropTranslations(_ part: Range<UInt64>) throws(Errno) {
    try unsafe check(hf_drop_translations(start + Int(part.lowerBound), part.count))
  }

  /// Removes the page-table entries of a shared part and makes each access to it fail, without
  /// splitting its mapping; or allows access again. The corresponding C function is `madvise`, with
  /// MADV_GUARD_INSTALL or MADV_GUARD_REMOVE.
  ///
  /// - Throws: `invalidArgument` before Linux 6.15, and for hugetlb or locked memory.
  func guardAccess(_ part: Range<UInt64>, _ isGuarded: Bool) throws(Errno) {
    try unsafe check(hf_guard(start + Int(part.lowerBound), part.count, isGuarded ? 1 : 0))
  }

  /// The corresponding C function is `munlock`.
  func unlock(_ part: Range<UInt64>) throws(Errno) {
    try unsafe check(hf_unlock(start + Int(part.lowerBound), part.count))
  }

  /// The corresponding C function is `madvise`, with MADV_HUGEPAGE or MADV_NOHUGEPAGE.
  func adviseHuge(_ part: Range<UInt64>, _ wanted: Bool) throws(Errno) {
    try unsafe check(hf_advise_huge(start + Int(part.lowerBound), part.count, wanted ? 1 : 0))
  }

  /// The corresponding C function is `mlock`.
  func lock(_ part: Range<UInt64>) throws(Errno) {
    try unsafe check(hf_lock(start + Int(part.lowerBound), part.count))
  }

  /// The number of resident 4 KiB pages of a part. The corresponding C function is `mincore`.
  ///
  /// - Complexity: O(4 KiB pages).
  package func residentPages(_ part: Range<UInt64>) throws(Errno) -> UInt64 {
    var resident: UInt64 = 0
    var offset = part.lowerBound
    var flags = [UInt8](repeating: 0, count: 1 << 16)
    while offset < part.upperBound {
      let pages = min(UInt64(flags.count), (part.upperBound - offset + 4095) >> 12)
      let length = min(pages << 12, part.upperBound - offset)
      // SAFETY: the call writes one byte for each page, and there are at least as many.
      let status = unsafe flags.withUnsafeMutableBufferPointer { buffer in
        unsafe hf_mincore(start + Int(offset), Int(length), buffer.baseAddress!)
      }
      try check(status)
      for page in 0..<Int(pages) where flags[page] & 1 != 0 { resident += 1 }
      offset += length
    }
    return resident
  }

  /// Whether the page at an offset is resident; for hugetlb, if its page table exists, whether it is
  /// in it. The corresponding C function is `mincore`.
  func isResident(at offset: UInt64) throws(Errno) -> Bool {
    var flag: UInt8 = 0
    // SAFETY: the call writes one byte for the page.
    try unsafe check(hf_mincore(start + Int(offset), 4096, &flag))
    return flag & 1 != 0
  }

  private func access(_ protection: Protection) -> Int32 {
    (protection.isDisjoint(with: [.read, .execute]) ? 0 : Int32(HF_READ))
      | (protection.contains(.write) ? Int32(HF_WRITE) : 0)
  }
}

/// Throws the error that a C function of this project returned as a negative errno.
func check(_ status: Int32) throws(Errno) {
  if status < 0 { throw Errno(rawValue: -status) }
}
