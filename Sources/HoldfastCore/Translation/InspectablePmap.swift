/// A pmap whose translations can be enumerated, for `Invariants`.
public protocol InspectablePmap: Pmap {
  /// Calls `body` with each translation: its address, frames and protection, and whether it is
  /// wired, or nil where the pmap does not record that.
  func forEachTranslation(_ body: (Address, FrameRun, Protection, _ isWired: Bool?) -> Void)
}
