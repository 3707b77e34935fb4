package import HoldfastCore

/// The two ways to make the pages of a range resident. The observable state afterwards must be the
/// same.
package enum WirePath: String, CaseIterable, Hashable, Sendable {
  /// Superpages, allocated ahead and entered as runs.
  case prefault
  /// Page by page.
  case fault

  /// The option that selects the path.
  package var options: WireOptions { self == .prefault ? .prefault : .faultPath }
}
