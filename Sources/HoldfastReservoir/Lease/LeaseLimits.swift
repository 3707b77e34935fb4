package import HoldfastCore

/// What one user may have leased at a time.
package struct LeaseLimits: Hashable, Sendable {
  /// The bytes of all leases of a user.
  package var bytes: ByteCount?
  /// The number of leases of a user.
  package var files: Int?

  /// Creates limits; nil is for none.
  package init(bytes: ByteCount? = nil, files: Int? = nil) {
    self.bytes = bytes
    self.files = files
  }

  /// Why a user may not lease so much more, or nil.
  func problem(bytes used: ByteCount, files count: Int, adding size: ByteCount) -> String? {
    if let files, count >= files {
      return "the user has \(count) leases, and the limit of files is \(files)"
    }
    if let bytes, used + size > bytes {
      return "the user has leased \(used), and the limit of bytes is \(bytes)"
    }
    return nil
  }
}

/// For whom a lease is.
struct Leaseholder {
  let user: UInt32
  /// Nil for the owner and root.
  var limits: LeaseLimits?
}
