internal import Glibc
package import HoldfastCore

/// The soft limits of this process. The corresponding C function is `getrlimit`.
package enum ResourceLimits {
  /// The largest size to which this process may extend a file (RLIMIT_FSIZE), files in memory
  /// included, or nil without a limit.
  package static var fileSize: ByteCount? { limit(RLIMIT_FSIZE) }

  /// The addresses that this process may use (RLIMIT_AS), or nil without a limit.
  package static var addresses: ByteCount? { limit(RLIMIT_AS) }

  private static func limit(_ resource: __rlimit_resource) -> ByteCount? {
    var limit = rlimit()
    // SAFETY: `limit` is a whole rlimit and lives through the call.
    guard unsafe getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0,
      limit.rlim_cur != rlim_t.max
    else { return nil }
    return ByteCount(UInt64(limit.rlim_cur))
  }

  /// Why this process may have no addresses for so much memory, for ENOMEM, or nil if it has many
  /// more: `RLIMIT_AS limits the addresses of this process to 1 GiB`.
  package static func addressWords(for size: ByteCount) -> String? {
    // What an arena skips to be aligned, and what the process has mapped besides.
    guard let addresses, addresses < size + .gibibytes(4) else { return nil }
    return "RLIMIT_AS limits the addresses of this process to \(addresses)"
  }

  /// What to do about it.
  package static var addressAdvice: Advice { .raiseLimit("RLIMIT_AS (ulimit -v unlimited)") }

  /// Why a file cannot have its size, for EFBIG: `RLIMIT_FSIZE limits the size of a file to 1 MiB`.
  package static var fileSizeWords: String {
    fileSize.map { "RLIMIT_FSIZE limits the size of a file to \($0)" }
      ?? "the file system limits the size of a file"
  }

  /// What to do about EFBIG.
  package static var fileSizeAdvice: Advice {
    fileSize == nil ? .other("a smaller file") : .raiseLimit("RLIMIT_FSIZE (ulimit -f unlimited)")
  }
}
