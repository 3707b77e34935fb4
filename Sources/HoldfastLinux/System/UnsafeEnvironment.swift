internal import Glibc

/// The process's environment variables.
package enum Environment {
  /// The value of a variable, or nil. The corresponding C function is `getenv`.
  package static func value(_ name: String) -> String? {
    // SAFETY: the text that getenv(3) points to is copied at once, and this process sets no
    // variables.
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }

  /// Whether a variable is set to anything but an empty value or `0`.
  package static func isSet(_ name: String) -> Bool {
    let value = value(name) ?? ""
    return !value.isEmpty && value != "0"
  }
}
