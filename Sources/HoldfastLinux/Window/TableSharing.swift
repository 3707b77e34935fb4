/// Whether and how a window shares page tables with the direct map (`WindowPmap.populate`).
package enum TableSharing: CaseIterable, Sendable {
  /// Where the kernel shares them.
  case asked
  /// Not tried, as where the kernel shares none.
  case never
  /// Tried, but the window's mappings have other flags than the direct map's, so that the kernel
  /// does not share although it did when it was asked.
  case hindered

  /// The advice for the window's mappings of huge pages.
  var advice: HostRange.Advice { self == .hindered ? .none : .noDump }
}
