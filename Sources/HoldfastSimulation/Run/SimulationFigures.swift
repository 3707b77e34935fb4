public import HoldfastCore

/// What came of a run, but for the times: the same for the same options.
public struct SimulationFigures: Hashable, Sendable {
  /// Guests by what became of them.
  public struct Guests: Hashable, Sendable, Encodable {
    /// Came, whether or not there was room.
    public var arrived = 0
    /// Were larger than the free memory, or the base pages that they were to write to were.
    public var refused = 0
    public var refusedBytes = ByteCount.zero
    public var wired = 0
    public var paged = 0
    public var forked = 0
    /// The most that there were at once.
    public var mostAtOnce = 0
  }

  /// What wiring gave.
  public struct Wires: Hashable, Sendable {
    public var count = 0
    public var bytes = ByteCount.zero
    /// The bytes by the size of the pages that hold them, base page first.
    public var bytesByLevel: [ByteCount]
    /// In frames that were zero when they were allocated.
    public var zeroedAheadBytes = ByteCount.zero

    init(levels: Int) {
      bytesByLevel = [ByteCount](repeating: .zero, count: levels + 1)
    }

    /// The share of the bytes in superpages, nil without wires.
    public var superpageShare: Double? { share(bytes - bytesByLevel[0]) }
    /// The share of the bytes in the largest pages, nil without wires.
    public var largestShare: Double? { share(bytesByLevel[bytesByLevel.count - 1]) }
    /// The share of the bytes in frames that were zeroed ahead, nil without wires.
    public var zeroedShare: Double? { share(zeroedAheadBytes) }

    private func share(_ part: ByteCount) -> Double? {
      bytes == .zero ? nil : Double(part.rawValue) / Double(bytes.rawValue)
    }

    /// What came since an earlier moment.
    func since(_ earlier: Wires) -> Wires {
      var wires = self
      wires.count -= earlier.count
      wires.bytes -= earlier.bytes
      wires.zeroedAheadBytes -= earlier.zeroedAheadBytes
      for level in bytesByLevel.indices {
        wires.bytesByLevel[level] -= earlier.bytesByLevel[level]
      }
      return wires
    }
  }

  /// The bytes that the structures themselves take.
  public struct Metadata: Hashable, Sendable {
    public var allocator = ByteCount.zero
    /// The page trees of all objects.
    public var objects = ByteCount.zero
    /// The entries of all address spaces.
    public var maps = ByteCount.zero

    public var total: ByteCount { allocator + objects + maps }
  }

  /// The host at one moment.
  public struct Sample: Hashable, Sendable {
    /// Seconds since the start.
    public var time: Double
    public var guests: Int
    public var used: ByteCount
    /// Free and known to be zero.
    public var zeroed: ByteCount
    /// `FreeBlocks.fragmentation` below 2 MiB and below the largest block.
    public var superpageFragmentation: Double
    public var largestFragmentation: Double
    /// Since the sample before; nil where nothing was wired.
    public var superpageShare: Double?
    public var largestShare: Double?
    public var zeroedShare: Double?
    public var metadata: Metadata
  }

  public var guests = Guests()
  public var wires: Wires
  /// Base pages that were touched.
  public var faults: UInt64 = 0
  /// Touches and forks that found no free frame.
  public var shortages = 0
  public var scrubbedBytes = ByteCount.zero
  public var samples: [Sample] = []
  /// Free once all guests have gone; all of the memory, or frames were lost.
  public var freeAtEnd = ByteCount.zero
  /// What became of reservations.
  public var reservations = ReservationStatistics()
  /// Of all operations in order with their arguments (FNV-1a).
  public var digest: UInt64 = 0xCBF2_9CE4_8422_2325

  init(levels: Int) {
    wires = Wires(levels: levels)
  }

  /// The metadata where they were largest.
  public var peakMetadata: Metadata {
    samples.map(\.metadata).max { $0.total < $1.total } ?? Metadata()
  }

  mutating func record(_ operation: Operation, _ guest: Int, _ argument: UInt64) {
    for byte in operation.rawValue.utf8 { mix(UInt64(byte)) }
    mix(UInt64(guest))
    mix(argument)
  }

  private mutating func mix(_ value: UInt64) {
    digest = (digest ^ value) &* 0x100_0000_01B3
  }
}
