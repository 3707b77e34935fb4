/// The kind of free frames that a search accepts.
enum FrameKind: Int, CaseIterable {
  /// Zeroed and dirty frames.
  case any = 0
  /// Only frames that are known to be zero.
  case zeroed = 1
  /// Only frames that are not known to be zero.
  case dirty = 2
}
