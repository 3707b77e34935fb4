/// Contiguous frames.
public struct FrameRun: Hashable, Sendable {
  /// The first frame.
  public let start: Frame
  /// The number of frames.
  public let count: PageCount

  /// The `count` frames from `start` on.
  @inlinable
  public init(_ start: Frame, _ count: PageCount) {
    self.start = start
    self.count = count
  }

  /// The frame after the last one.
  @inlinable
  public var end: Frame { start + count }

  /// Whether a frame is one of the run.
  @inlinable
  public func contains(_ frame: Frame) -> Bool { start <= frame && frame < end }
}

extension FrameRun: CustomStringConvertible {
  /// The bounds: `0..<512`.
  public var description: String { "\(start)..<\(end)" }
}
