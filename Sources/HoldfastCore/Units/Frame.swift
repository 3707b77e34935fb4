/// The number of a physical base page: its offset in the arena over the base page's size
/// (FreeBSD: `vm_page_t`, `atop(vm_paddr_t)`).
public struct Frame: PagePosition {
  public let rawValue: UInt64

  @inlinable
  public init(_ rawValue: UInt64) {
    self.rawValue = rawValue
  }
}

/// Contiguous frames.
public struct FrameRun: Hashable, Sendable {
  public let start: Frame
  public let count: PageCount

  @inlinable
  public init(_ start: Frame, _ count: PageCount) {
    self.start = start
    self.count = count
  }

  /// The frame after the last one.
  @inlinable
  public var end: Frame { start + count }

  @inlinable
  public func contains(_ frame: Frame) -> Bool { start <= frame && frame < end }
}

extension FrameRun: CustomStringConvertible {
  public var description: String { "\(start)..<\(end)" }
}
