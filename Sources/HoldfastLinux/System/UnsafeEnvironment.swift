internal import Glibc

/// The variables that tests and benchmarks set.
package enum Environment {
  /// The value of a variable, or nil. The corresponding C function is `getenv`.
  package static func value(_ name: String) -> String? {
    // SAFETY: the text that getenv(3) points at is read at once, and nobody sets variables here.
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }

  /// Whether a variable has a value other than 0.
  package static func isSet(_ name: String) -> Bool {
    let value = value(name) ?? ""
    return !value.isEmpty && value != "0"
  }
}
