internal import Glibc
internal import HoldfastCore

/// The host's users and groups.
enum Accounts {
  /// The number of a user, given by name or number.
  static func userNumber(_ text: String) throws -> UInt32 {
    if let number = UInt32(digits: text) { return number }
    // SAFETY: the entry that getpwnam(3) points at is read at once, and only this thread calls it.
    guard let entry = unsafe getpwnam(text) else {
      throw CLIError("no user is named '\(text)'; try: a name or number from /etc/passwd")
    }
    return unsafe entry.pointee.pw_uid
  }

  /// The number of a group, given by name or number.
  static func groupNumber(_ text: String) throws -> UInt32 {
    if let number = UInt32(digits: text) { return number }
    // SAFETY: as above.
    guard let entry = unsafe getgrnam(text) else {
      throw CLIError("no group is named '\(text)'; try: a name or number from /etc/group")
    }
    return unsafe entry.pointee.gr_gid
  }
}
