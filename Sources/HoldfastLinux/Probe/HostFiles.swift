internal import Glibc
package import SystemPackage

/// The kernel's files under a root folder: `/` on the real host, a made-up tree in tests.
///
/// Reading never blocks and never throws: what is missing, unreadable or malformed is nil.
package struct HostFiles: Sendable {
  /// Writes a text to a file, in place of ``replaceContents(of:with:)``, so that tests can imitate
  /// a kernel that refuses, or takes only a part.
  package typealias Writer = @Sendable (_ path: String, _ text: String) throws(Errno) -> Void

  /// The folder that stands for `/`, without a slash at the end.
  package let root: String
  private let writer: Writer?

  /// The files under `root`, written by `writer` if it is given.
  package init(root: String, writer: Writer? = nil) {
    // Plain strings: a probe reads many files, and FilePath validates itself in each step.
    self.root = root.hasSuffix("/") ? String(root.dropLast()) : root
    self.writer = writer
  }

  /// The path under the root, or nil if it contains `..`, which could lead out of it.
  package func path(_ absolute: String) -> String? {
    if absolute.utf8.split(separator: UInt8(ascii: "/")).contains(where: {
      $0.elementsEqual("..".utf8)
    }) {
      return nil
    }
    return root + (absolute.utf8.first == UInt8(ascii: "/") ? "" : "/") + absolute
  }

  /// The first `limit` bytes of a file as text, or nil if it cannot be read.
  package func text(_ absolute: String, limit: Int = 1 << 16) -> String? {
    guard let path = path(absolute) else { return nil }
    do {
      // O_NONBLOCK, because a FIFO in a made-up tree would block the probe.
      // SAFETY: the path's bytes live through the call.
      let file = try unsafe FileDescriptor.open(
        path, .readOnly, options: [.closeOnExec, .nonBlocking])
      return try file.closeAfter {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: min(limit, 1 << 14))
        while bytes.count < limit {
          // SAFETY: the buffer is the whole of `chunk`, which lives through the call.
          let count = try unsafe chunk.withUnsafeMutableBytes { try unsafe file.read(into: $0) }
          if count == 0 { break }
          bytes += chunk[..<min(count, limit - bytes.count)]
        }
        return String(decoding: bytes, as: UTF8.self)
      }
    } catch {
      return nil
    }
  }

  /// The number that a file consists of, or nil.
  package func number(_ absolute: String) -> UInt64? {
    text(absolute, limit: 64).flatMap { UInt64($0.trimmed) }
  }

  /// The names in a folder, sorted, at most 4,096 of them; none if it cannot be read.
  package func names(in absolute: String) -> [String] {
    guard let path = path(absolute) else { return [] }
    // SAFETY: the stream is closed once, after the last use; an entry is copied before the next
    // readdir(3), and `d_name` ends in a zero byte.
    guard let stream = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while names.count < 4096, let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Writes a text to a file that exists.
  package func write(_ text: String, to absolute: String) throws(Errno) {
    guard let path = path(absolute) else { throw .invalidArgument }
    if let writer {
      try writer(path, text)
    } else {
      try HostFiles.replaceContents(of: path, with: text)
    }
  }

  /// Opens, truncates and writes a file that exists, in one write(2), as sysfs and procfs require.
  package static func replaceContents(of path: String, with text: String) throws(Errno) {
    do {
      // SAFETY: the path's bytes live through the call.
      let file = try unsafe FileDescriptor.open(
        path, .writeOnly, options: [.closeOnExec, .nonBlocking, .truncate])
      let written = try file.closeAfter {
        // SAFETY: the buffer is the whole of the array, which lives through the call.
        try unsafe Array(text.utf8).withUnsafeBytes { try unsafe file.write($0) }
      }
      if written != text.utf8.count { throw Errno.ioError }
    } catch {
      throw (error as? Errno) ?? .ioError
    }
  }
}
