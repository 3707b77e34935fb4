package import HoldfastCore

/// The two ways to make the pages of a range resident. What can be observed afterwards must be the
/// same.
package enum WirePath: String, CaseIterable, Hashable, Sendable {
  /// Superpages, preallocated and entered by the run.
  case prefault
  /// Page by page.
  case fault

  /// The option that forces the path.
  package var options: WireOptions { self == .prefault ? .prefault : .faultPath }
}
