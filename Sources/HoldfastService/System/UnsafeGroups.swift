internal import Glibc

/// The host's groups.
enum Groups {
  /// The number of a group by its name, or nil. The corresponding C function is `getgrnam`.
  static func number(_ name: String) -> UInt32? {
    // SAFETY: the entry that getgrnam(3) points at is read at once, and only the thread that reads
    // the configuration calls it.
    guard let entry = unsafe getgrnam(name) else { return nil }
    return unsafe entry.pointee.gr_gid
  }
}
