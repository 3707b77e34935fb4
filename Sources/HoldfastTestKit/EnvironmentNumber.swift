internal import Glibc

/// The number that a variable of the environment has, or nil.
func environmentNumber(_ name: String) -> UInt64? {
  // SAFETY: the text that getenv(3) points at is read at once; tests set no variables.
  unsafe getenv(name).flatMap { unsafe UInt64(String(cString: $0)) }
}
