public import Holdfast
public import HoldfastCore

/// Where a guest's memory lies among its physical addresses: from 0 on, but not from 3 to 4 GiB,
/// where processors and devices have registers. A guest of more than 3 GiB has the rest from 4 GiB on.
public struct RAMLayout: Hashable, Sendable {
  /// The addresses that are no memory.
  public static let hole = AddressRange(Address(3 << 30), Address(4 << 30))

  /// A part without gaps.
  public struct Piece: Hashable, Sendable {
    /// How much memory lies before it.
    public let offset: ByteCount
    /// The guest's addresses.
    public let range: AddressRange
  }

  public let size: ByteCount
  /// One or two, from low to high.
  public let pieces: [Piece]
  /// One past the last address: what `GuestMemory` needs as its limit.
  public let limit: ByteCount

  /// The layout of so much memory: less than 64 TiB.
  public init(size: ByteCount) {
    precondition(size < .tebibytes(64), "a guest of 64 TiB or more")
    let low = min(size, RAMLayout.hole.start - .zero)
    var pieces = [Piece(offset: .zero, range: AddressRange(.zero, .zero + low))]
    if size > low {
      let high = AddressRange(RAMLayout.hole.end, RAMLayout.hole.end + (size - low))
      pieces.append(Piece(offset: low, range: high))
    }
    self.size = size
    self.pieces = pieces
    limit = pieces[pieces.count - 1].range.end - .zero
  }

  /// The parts of a range that are not in the hole.
  static func outsideHole(_ range: AddressRange) -> [AddressRange] {
    [
      AddressRange(range.start, max(range.start, min(range.end, hole.start))),
      AddressRange(min(range.end, max(range.start, hole.end)), range.end),
    ].filter { !$0.isEmpty }
  }
}

extension GuestMemory {
  /// Makes segments for all of a layout, a segment a piece, and maps them: `ram`, and `ram-high` from
  /// 4 GiB on. The limit of this memory is at least the layout's.
  ///
  /// - Returns: what was obtained, a receipt a piece.
  /// - Throws: as `allocateSegment` and `map`; what was mapped before the failure is taken away again.
  @discardableResult
  public func mapRAM(
    _ layout: RAMLayout, options: MapOptions = []
  ) throws(HoldfastError) -> [WireReceipt] {
    var done: [(MemorySegment, WireReceipt)] = []
    do throws(HoldfastError) {
      for piece in layout.pieces {
        let name = piece.offset == .zero ? "ram" : "ram-high"
        let segment = try allocateSegment(name, size: piece.range.length)
        do throws(HoldfastError) {
          done.append((segment, try map(segment, at: piece.range.start, options: options)))
        } catch {
          try freeSegment(segment)
          throw error
        }
      }
    } catch {
      for (segment, receipt) in done {
        try unmap(receipt.range)
        try freeSegment(segment)
      }
      throw error
    }
    return done.map(\.1)
  }
}
