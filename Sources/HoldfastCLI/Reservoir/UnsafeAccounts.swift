internal import Glibc

/// The host's users and groups.
enum Accounts {
  /// The number in a text of digits; the initializer alone would accept a sign.
  private static func number(_ text: String) -> UInt32? {
    text.utf8.allSatisfy { (48...57).contains($0) } ? UInt32(text) : nil
  }

  /// The number of a user, given by name or number.
  static func userNumber(_ text: String) throws -> UInt32 {
    if let number = number(text) { return number }
    // SAFETY: the entry that getpwnam(3) points at is read at once, and only this thread calls it.
    guard let entry = unsafe getpwnam(text) else {
      throw CLIError("no user is named '\(text)'; try: a name or number from /etc/passwd")
    }
    return unsafe entry.pointee.pw_uid
  }

  /// The number of a group, given by name or number.
  static func groupNumber(_ text: String) throws -> UInt32 {
    if let number = number(text) { return number }
    // SAFETY: as above.
    guard let entry = unsafe getgrnam(text) else {
      throw CLIError("no group is named '\(text)'; try: a name or number from /etc/group")
    }
    return unsafe entry.pointee.gr_gid
  }
}
