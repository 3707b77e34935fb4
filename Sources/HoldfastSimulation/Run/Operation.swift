/// An operation whose time a run measures.
package enum Operation: String, CaseIterable, Sendable {
  /// Mapping and wiring all of a new guest's memory.
  case wire
  /// Unwiring a guest before it is forked, because a fork copies wired pages at once.
  case unwire
  /// Forking a guest.
  case fork
  /// Making one base page resident, or copying it.
  case fault
  /// Unmapping all of a guest's memory, which frees the pages that no other guest shares.
  case free
}
