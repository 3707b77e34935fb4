internal import CHoldfastLinux
internal import HoldfastCore
internal import SystemPackage

/// A userfaultfd(2) that sees the kernel's own faults too. Closed with its last reference.
final class Userfaultfd: Sendable {
  /// The faults that a registered range traps.
  enum Traps: Int32 {
    /// Absent pages: in anonymous memory, which a window has where nothing is mapped.
    case missing = 1
    /// Pages that the file has and the page tables lack.
    case minor = 2
    /// Both of these.
    case absent = 3
    /// All that can happen to a page of the arena's file: absent, not in the page tables,
    /// write-protected.
    case all = 7
  }

  /// A page fault in which a thread waits.
  struct Fault {
    /// The address, in this process.
    let address: UInt64
    /// The faulting thread, as gettid(2) numbers it.
    let thread: Int32
    /// What the thread attempted.
    let access: Protection
    /// Whether the page is in the page tables, write-protected.
    let isProtection: Bool
  }

  private let descriptor: Int32
  private let pageSize: Int

  /// Opens a userfaultfd for a use, and for files whose pages are the geometry's. The corresponding
  /// C function is `userfaultfd`.
  ///
  /// When pages are only installed, no thread reads the descriptor: a thread that faults waits until
  /// the page is installed or the range unregistered.
  ///
  /// - Throws: `permissionDenied` or `notPermitted` where this process may not use it,
  ///   `notSupported` where the kernel lacks a feature.
  init(_ use: UserFaultUse, _ geometry: Geometry) throws(Errno) {
    let result = hf_userfault_open(use.mask)
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

  /// Lets the kernel serve the faults of a part again, and wakes the threads that wait there. The
  /// corresponding request is `UFFDIO_UNREGISTER`.
  func unregister(_ range: HostRange, _ part: Range<UInt64>) throws(Errno) {
    try unsafe check(
      hf_userfault_unregister(descriptor, range.start + Int(part.lowerBound), part.count))
  }

  /// Installs the file's pages in the page tables; entries that exist stay as they are. Wakes the
  /// threads that wait there. The corresponding request is `UFFDIO_CONTINUE`.
  ///
  /// - Parameter readOnly: whether writes to the new entries are trapped (UFFDIO_CONTINUE_MODE_WP).
  func install(
    _ range: HostRange, _ part: Range<UInt64>, readOnly: Bool = false
  ) throws(Errno) {
    try unsafe check(
      hf_userfault_continue(
        descriptor, range.start + Int(part.lowerBound), part.count, pageSize, readOnly ? 1 : 0))
  }

  /// Traps writes to the entries of a part, or no longer, which wakes the threads that wait there.
  /// The corresponding request is `UFFDIO_WRITEPROTECT`.
  func protect(_ range: HostRange, _ part: Range<UInt64>, readOnly: Bool) throws(Errno) {
    try unsafe check(
      hf_userfault_protect(
        descriptor, range.start + Int(part.lowerBound), part.count, readOnly ? 1 : 0))
  }

  /// Wakes the threads that wait in a part, which repeat their access. The corresponding request is
  /// `UFFDIO_WAKE`.
  func wake(_ range: HostRange, _ part: Range<UInt64>) {
    // It fails only for an invalid range.
    _ = unsafe hf_userfault_wake(descriptor, range.start + Int(part.lowerBound), part.count)
  }

  /// The same for the page at an address.
  func wake(_ page: UInt64) {
    guard let start = unsafe UnsafeMutableRawPointer(bitPattern: UInt(page)) else { return }
    // SAFETY: only the kernel looks at the address.
    _ = unsafe hf_userfault_wake(descriptor, start, pageSize)
  }

  /// Waits for something to read. The corresponding C function is `poll`.
  ///
  /// - Returns: false once the stop signal is raised. Where the kernel refuses to wait, true after a
  ///   millisecond.
  func wait(orFor stop: StopSignal) -> Bool {
    hf_userfault_wait(descriptor, stop.descriptor) != 0
  }

  /// Reads at most 16 page faults, without waiting. Events of other kinds, such as that of a moved
  /// mapping, are read and dropped. Nothing where the kernel refuses. The corresponding C function is
  /// `read`.
  func read() -> [Fault] {
    unsafe withUnsafeTemporaryAllocation(of: hf_userfault_event.self, capacity: 16) { buffer in
      // SAFETY: the call writes no more events than the buffer has room for.
      let count = unsafe hf_userfault_read(descriptor, buffer.baseAddress!, Int32(buffer.count))
      return (0..<Int(count)).map { index in
        let event = unsafe buffer[index]
        return Fault(
          address: event.address, thread: Int32(bitPattern: event.thread),
          access: event.is_write != 0 ? .write : .read, isProtection: event.is_protection != 0)
      }
    }
  }
}
