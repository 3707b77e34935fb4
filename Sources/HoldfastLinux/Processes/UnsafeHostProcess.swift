internal import CHoldfastLinux
internal import Glibc
package import SystemPackage

/// A process of the host: its number, and when it began, by which a later process of the same
/// number differs.
package struct HostProcess: Hashable, Sendable {
  /// The number.
  package let number: Int32
  /// When it began, in clock ticks since the boot.
  package let start: UInt64

  /// Looks a process up.
  ///
  /// - Throws: `noSuchProcess` where there is no process of that number.
  package init(_ number: Int32) throws(Errno) {
    var start: UInt64 = 0
    try check(unsafe hf_process_start(number, &start))
    self.number = number
    self.start = start
  }

  /// All processes that this one sees, without those that end meanwhile.
  ///
  /// - Complexity: O(processes), some ten microseconds for each.
  package static var all: [HostProcess] {
    let names = (try? Folder.open(path: "/proc").names()) ?? []
    return names.compactMap { name in
      Int32(name).flatMap { try? HostProcess($0) }
    }
  }

  /// The process as a text: `<number>.<start>`.
  package var text: String { "\(number).\(start)" }

  /// Reads such a text.
  package init?(text: some StringProtocol) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, let number = Int32(parts[0]), number > 0, let start = UInt64(parts[1])
    else { return nil }
    self.number = number
    self.start = start
  }

  /// Whether it has not ended. A zombie has ended for all that matters here, but is still there.
  package var exists: Bool { (try? HostProcess(number)) == self }

  /// The corresponding C function is `pidfd_send_signal`.
  ///
  /// - Throws: `noSuchProcess` where it has ended, also where another process has its number.
  package func send(_ signal: Int32) throws(Errno) {
    try check(hf_process_signal(number, start, signal))
  }

  /// Whether the process has a file open; false where this process may not look.
  ///
  /// - Complexity: O(descriptors of the process).
  package func hasOpen(_ file: FileStatus) -> Bool {
    let path = "/proc/\(number)/fd"
    guard let names = try? Folder.open(path: path).names() else { return false }
    return names.contains { name in
      var status = stat()
      // SAFETY: the path lives through the call, which writes one structure.
      return unsafe stat("\(path)/\(name)", &status) == 0
        && FileStatus.Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
          == file.identity
    }
  }

  /// The file name of the program as the process was started, without its folders; nil where it
  /// cannot be read.
  package var program: String? {
    guard let bytes = try? read("cmdline", atMost: 4096) else { return nil }
    let word = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    return word.split(separator: "/").last.map { String($0) }
  }

  /// Reads a file of the process in /proc.
  func read(_ name: String, atMost count: Int) throws(Errno) -> [UInt8] {
    try open(name).bytes(count: count)
  }

  func open(_ name: String) throws(Errno) -> OpenFile {
    let descriptor = unsafe Glibc.open("/proc/\(number)/\(name)", O_RDONLY | O_CLOEXEC)
    if descriptor < 0 { throw Errno(rawValue: errno) }
    return OpenFile(descriptor: descriptor)
  }

  /// Brings a page into the process's memory. The corresponding C function is `process_vm_readv`.
  ///
  /// - Parameters:
  ///   - address: an address in the page.
  ///   - isWritten: whether it gets its own copy of a page that is mapped privately. The process
  ///     must be stopped then: its byte is read and written again.
  package func touch(_ address: UInt64, isWritten: Bool) throws(Errno) {
    try check(hf_process_touch(number, address, isWritten ? 1 : 0))
  }
}
