internal import Glibc

/// The text of an error number. The corresponding C function is `strerror`.
func errorText(_ number: Int32) -> String {
  // SAFETY: glibc's strerror returns a string that lives as long as the thread makes no other call
  // of it; the string is copied before that.
  guard let text = unsafe strerror(number) else { return "error \(number)" }
  return unsafe String(cString: text)
}
