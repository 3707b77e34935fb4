internal import Glibc

/// The number of a user, given by name or number.
func userNumber(_ text: String) throws -> UInt32 {
  if let number = UInt32(text) { return number }
  // SAFETY: what getpwnam(3) points at is read at once, on the only thread that asks.
  guard let entry = unsafe getpwnam(text) else {
    throw CLIError("there is no user '\(text)'; try: a name or number of /etc/passwd")
  }
  return unsafe entry.pointee.pw_uid
}

/// The number of a group, given by name or number.
func groupNumber(_ text: String) throws -> UInt32 {
  if let number = UInt32(text) { return number }
  // SAFETY: as above.
  guard let entry = unsafe getgrnam(text) else {
    throw CLIError("there is no group '\(text)'; try: a name or number of /etc/group")
  }
  return unsafe entry.pointee.gr_gid
}
