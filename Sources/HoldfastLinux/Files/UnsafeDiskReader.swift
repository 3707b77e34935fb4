internal import CHoldfastLinux
internal import HoldfastCore
internal import Synchronization
internal import SystemPackage

/// Reads a regular file in large pieces by several threads, and past the page cache what that does
/// not have: the disk then has as many requests at once as there are threads, and the processor
/// copies nothing.
///
/// Two open files of one inode do that: `cached` goes through the page cache and always works;
/// `direct` has O_DIRECT and is nil where the file system or the host has no such thing. These
/// invariants make both show the same bytes:
///
/// - `direct` was opened by way of `cached`, so both are the same inode whatever happens to names.
/// - A piece is read past the cache only where its address, offset and length are multiples of
///   `block`. What remains after a short read goes through the cache.
/// - Before it reads past them, the kernel writes to the disk the pages of the piece that only the
///   cache has.
/// - A file system that refuses a request past the cache did none of it. The piece goes through the
///   cache, and so do all later ones (`isRefused`).
///
/// Safe to use from any thread. Takes no lock.
final class DiskReader: Sendable {
  /// The open file that goes through the page cache.
  let cached: OpenFile
  private let direct: OpenFile?
  private let isRefused = Atomic<Bool>(false)

  /// The unit of requests past the cache: at least the logical block of nearly all disks.
  private static let block = 4096
  /// Smaller pieces go through the cache, which reads ahead.
  private static let leastDirect = 128 << 10
  /// So many bytes are read by one system call at most, less than what Linux allows.
  private static let mostAtOnce = 1 << 30

  /// - Parameters:
  ///   - file: a regular file.
  ///   - pastCache: whether to read past the page cache.
  init(_ file: OpenFile, pastCache: Bool) {
    cached = file
    // The page cache is all that tmpfs has.
    let hasDisk = (try? file.fileSystem()).map { $0.kind != .tmpfs } ?? false
    let descriptor = pastCache && hasDisk ? hf_open_direct(file.descriptor) : -1
    direct = descriptor >= 0 ? OpenFile(descriptor: descriptor) : nil
  }

  /// Reads as much of a piece as the file has. The corresponding C function is `pread`.
  ///
  /// - Returns: the bytes that were read, fewer than wanted only at the end of the file.
  func read(_ bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(Errno) -> Int {
    guard let base = bytes.baseAddress else { return 0 }
    var done = 0
    var direct = unsafe direct(for: base, bytes.count, offset)
    while done < bytes.count {
      let file = direct ?? cached
      let length = min(bytes.count - done, Self.mostAtOnce)
      // SAFETY: `done` is less than the count, and so many bytes begin at `base`, which the caller
      // keeps.
      let count = unsafe hf_read_at(file.descriptor, base + done, length, offset + UInt64(done))
      if direct != nil, Self.isRefusal(count) {
        isRefused.store(true, ordering: .relaxed)
        direct = nil
        continue
      }
      if count < 0 { throw Errno(rawValue: Int32(-count)) }
      if count == 0 { break }
      done += Int(count)
      if done % Self.block != 0 { direct = nil }
    }
    return done
  }

  /// The open file for a piece past the page cache; nil where it goes through the cache.
  private func direct(for address: UnsafeRawPointer, _ count: Int, _ offset: UInt64) -> OpenFile? {
    let block = UInt(Self.block)
    guard let direct, !isRefused.load(ordering: .relaxed), count >= Self.leastDirect,
      UInt(bitPattern: address) % block == 0, UInt(count) % block == 0,
      offset % UInt64(block) == 0, !isCached(offset, count)
    else { return nil }
    return direct
  }

  /// Whether the page cache has most of a piece, which is then copied faster than the disk reads
  /// it. Where the kernel does not say, the cache may have it. The corresponding system call is
  /// `cachestat`.
  private func isCached(_ offset: UInt64, _ count: Int) -> Bool {
    let bytes = hf_cached_bytes(cached.descriptor, offset, UInt64(count))
    return bytes < 0 || bytes > Int64(count / 2)
  }

  /// Whether a system call's error says that the file system does not go past the cache.
  private static func isRefusal(_ result: Int64) -> Bool {
    let refusals: [Errno] = [.invalidArgument, .notSupported, .noFunction]
    return refusals.contains { Int64(-$0.rawValue) == result }
  }
}
