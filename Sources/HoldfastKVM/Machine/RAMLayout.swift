public import Holdfast
public import HoldfastCore

/// The physical addresses of a guest's RAM: from 0 up to 3 GiB, and the rest from 4 GiB. Processors
/// and devices have registers between.
public struct RAMLayout: Hashable, Sendable {
  /// The addresses without RAM, from 3 to 4 GiB.
  public static let hole = AddressRange(from: Address(3 << 30), to: Address(4 << 30))

  /// A contiguous part of the RAM.
  public struct Piece: Hashable, Sendable {
    /// How much RAM lies below the piece.
    public let offset: ByteCount
    /// The guest addresses of the piece.
    public let range: AddressRange
  }

  /// How much RAM the guest has.
  public let size: ByteCount
  /// One piece or two, from low to high.
  public let pieces: [Piece]
  /// The end of the last piece, which `GuestMemory` needs as its limit.
  public let limit: ByteCount

  /// Creates the layout of `size` bytes of RAM.
  ///
  /// - Throws: code `invalidArgument` from 64 TiB on.
  public init(size: ByteCount) throws(HoldfastError) {
    guard size < .tebibytes(64) else {
      throw HoldfastError(
        .invalidArgument, operation: "lay out \(size) of RAM",
        reason: "a guest has less than 64 TiB", advice: .requestLess(than: .tebibytes(64)))
    }
    let low = min(size, RAMLayout.hole.start - .zero)
    var pieces = [Piece(offset: .zero, range: AddressRange(from: .zero, to: .zero + low))]
    if size > low {
      let high = AddressRange(from: RAMLayout.hole.end, to: RAMLayout.hole.end + (size - low))
      pieces.append(Piece(offset: low, range: high))
    }
    self.size = size
    self.pieces = pieces
    limit = pieces[pieces.count - 1].range.end - .zero
  }

  /// Returns the parts of a range that are outside the hole.
  static func outsideHole(_ range: AddressRange) -> [AddressRange] {
    [
      AddressRange(from: range.start, to: max(range.start, min(range.end, hole.start))),
      AddressRange(from: min(range.end, max(range.start, hole.end)), to: range.end),
    ].filter { !$0.isEmpty }
  }
}

extension GuestMemory {
  /// Creates and maps a segment for each piece of a layout: `ram`, and `ram-high` from 4 GiB.
  ///
  /// - Parameters:
  ///   - layout: the layout, whose limit is at most that of this memory.
  ///   - options: whether to wire the memory.
  /// - Returns: a receipt for each piece.
  /// - Throws: as `allocateSegment` and `map`. Nothing stays mapped then.
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
