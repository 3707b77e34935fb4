internal import CHoldfastLinux
internal import HoldfastCore
internal import SystemPackage

/// A userfaultfd whose faults a thread answers, closed when its last reference goes.
final class PagingFault: Sendable {
  let descriptor: Int32
  private let pageSize: Int

  /// What is trapped of memory that the window shares with the arena, and of memory that is not there.
  enum Traps: Int32 {
    /// Absent pages: of anonymous memory, which a window has where nothing is mapped.
    case nothingThere = 1
    /// All that a page of the arena's file can be: absent, present but not entered, write-protected.
    case everything = 7
  }

  /// A fault that somebody waits in.
  struct Event {
    /// An address of this process.
    let address: UInt64
    /// The thread that touched, as `gettid` has it.
    let thread: Int32
    let access: Protection
    /// The page is there and may only be read.
    let isProtection: Bool
  }

  /// The corresponding C function is `userfaultfd`.
  ///
  /// - Throws: `permissionDenied`, `notPermitted` or `notSupported` where the host lacks it.
  init(geometry: Geometry) throws(Errno) {
    let result = hf_userfault_open_paging()
    try check(result)
    descriptor = result
    pageSize = Int(geometry.pageSize.rawValue)
  }

  deinit {
    _ = hf_close(descriptor)
  }

  /// The corresponding request is `UFFDIO_REGISTER`.
  func register(_ range: HostRange, _ part: Range<UInt64>, _ traps: Traps) throws(Errno) {
    try unsafe check(
      hf_userfault_register(
        descriptor, range.start + Int(part.lowerBound), part.count, traps.rawValue))
  }

  /// The corresponding request is `UFFDIO_UNREGISTER`.
  func unregister(_ range: HostRange, _ part: Range<UInt64>) throws(Errno) {
    try unsafe check(
      hf_userfault_unregister(descriptor, range.start + Int(part.lowerBound), part.count))
  }

  /// Installs pages of the file; those that are there stay. The corresponding request is
  /// `UFFDIO_CONTINUE`.
  func resume(_ range: HostRange, _ part: Range<UInt64>, readOnly: Bool) throws(Errno) {
    try unsafe check(
      hf_userfault_continue_as(
        descriptor, range.start + Int(part.lowerBound), part.count, pageSize, readOnly ? 1 : 0))
  }

  /// The corresponding request is `UFFDIO_WRITEPROTECT`.
  func protect(_ range: HostRange, _ part: Range<UInt64>, readOnly: Bool) throws(Errno) {
    try unsafe check(
      hf_userfault_protect(
        descriptor, range.start + Int(part.lowerBound), part.count, readOnly ? 1 : 0))
  }

  /// The corresponding request is `UFFDIO_WAKE`.
  func wake(_ range: HostRange, _ part: Range<UInt64>) {
    // It fails only for a range that is none.
    _ = unsafe hf_userfault_wake(descriptor, range.start + Int(part.lowerBound), part.count)
  }

  /// The same for a page wherever it is.
  func wake(_ page: UInt64) {
    guard let start = unsafe UnsafeMutableRawPointer(bitPattern: UInt(page)) else { return }
    // SAFETY: only the kernel looks at the address.
    _ = unsafe hf_userfault_wake(descriptor, start, pageSize)
  }

  /// Waits for something to read. The corresponding C function is `poll`.
  ///
  /// - Returns: false where the stop signal came.
  func wait(orFor stop: StopSignal) -> Bool {
    let status = hf_userfault_wait(descriptor, stop.descriptor)
    precondition(status >= 0, "a userfaultfd cannot be polled: \(Errno(rawValue: -status))")
    return status > 0
  }

  /// The faults there are, a few at most, without waiting. The corresponding C function is `read`.
  func read() -> [Event] {
    unsafe withUnsafeTemporaryAllocation(of: hf_userfault_event.self, capacity: 16) { buffer in
      // SAFETY: the call writes no more events than the buffer has room for.
      let count = unsafe hf_userfault_read(descriptor, buffer.baseAddress!, Int32(buffer.count))
      precondition(count >= 0, "a userfaultfd cannot be read: \(Errno(rawValue: -count))")
      return (0..<Int(count)).map { index in
        let event = unsafe buffer[index]
        return Event(
          address: event.address, thread: Int32(bitPattern: event.thread),
          access: event.is_write != 0 ? .write : .read, isProtection: event.is_protection != 0)
      }
    }
  }
}

/// A descriptor that threads which wait in `poll` are woken by, for good. The corresponding C function
/// is `eventfd`.
final class StopSignal: Sendable {
  let descriptor: Int32

  init() throws(Errno) {
    let result = hf_signal_open()
    try check(result)
    descriptor = result
  }

  deinit {
    _ = hf_close(descriptor)
  }

  func raise() {
    _ = hf_signal(descriptor)
  }
}

extension HostRange {
  /// Memory that is not there, at an address of the kernel's choice.
  static func anonymous(_ length: UInt64) throws(Errno) -> HostRange {
    var found: UnsafeMutableRawPointer?
    try unsafe check(hf_map_anonymous(Int(length), &found))
    guard let place = unsafe found else { throw .noMemory }
    return unsafe HostRange(start: place, length: ByteCount(length))
  }

  /// A part of a file, shared, for reading and writing, at an address of the kernel's choice.
  static func shared(
    _ length: UInt64, file: Int32, offset: UInt64, advice: Advice
  ) throws(Errno) -> HostRange {
    var found: UnsafeMutableRawPointer?
    try unsafe check(hf_map_anywhere(Int(length), file, offset, advice.rawValue, &found))
    guard let place = unsafe found else { throw .noMemory }
    return unsafe HostRange(start: place, length: ByteCount(length))
  }

  /// Moves all of this mapping over a part of another range, in one step for whoever touches there. The
  /// corresponding C function is `mremap`, with MREMAP_FIXED.
  func move(to range: HostRange, at offset: UInt64) throws(Errno) {
    try unsafe check(hf_move(start, Int(length.rawValue), range.start + Int(offset)))
  }

  /// Takes the page-table entries of a shared part away. The corresponding C function is `madvise`, with
  /// MADV_DONTNEED.
  func dropTranslations(_ part: Range<UInt64>) throws(Errno) {
    try unsafe check(hf_drop_translations(start + Int(part.lowerBound), part.count))
  }
}
