/// Whole frames to copy to as many others, which do not overlap them.
public struct FrameCopy: Hashable, Sendable {
  /// The frames to copy.
  public let source: FrameRun
  /// The first of the frames that become copies.
  public let destination: Frame

  /// A copy of `source` to the frames from `destination` on.
  public init(_ source: FrameRun, to destination: Frame) {
    self.source = source
    self.destination = destination
  }
}
