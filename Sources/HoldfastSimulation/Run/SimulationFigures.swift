package import HoldfastCore

/// The results of a run without the times: the same for the same options.
package struct SimulationFigures: Hashable, Sendable {
  /// The numbers of guests.
  package struct Guests: Hashable, Sendable, Encodable {
    /// Guests that arrived, refused or not.
    package var arrived = 0
    /// Guests that were refused because they, or the base pages that they would write to, were
    /// larger than the free memory.
    package var refused = 0
    /// The size of the refused guests.
    package var refusedBytes = ByteCount.zero
    /// Guests that were wired.
    package var wired = 0
    /// Guests that got base pages by faults.
    package var paged = 0
    /// Guests that were forked.
    package var forked = 0
    /// The most guests that ran at once.
    package var mostAtOnce = 0
  }

  /// The wire operations and the memory that they wired.
  package struct Wires: Hashable, Sendable {
    /// The number of wire operations.
    package var count = 0
    /// The wired bytes.
    package var bytes = ByteCount.zero
    /// The wired bytes by page level, base pages first.
    package var bytesByLevel: [ByteCount]
    /// The wired bytes in frames that were zero when they were allocated.
    package var zeroedAheadBytes = ByteCount.zero

    init(levels: Int) {
      bytesByLevel = [ByteCount](repeating: .zero, count: levels + 1)
    }

    /// The share of the bytes in superpages, nil without wires.
    package var superpageShare: Double? { share(bytes - bytesByLevel[0]) }
    /// The share of the bytes in the largest pages, nil without wires.
    package var largestShare: Double? { share(bytesByLevel[bytesByLevel.count - 1]) }
    /// The share of the bytes in frames that were zeroed ahead, nil without wires.
    package var zeroedShare: Double? { share(zeroedAheadBytes) }

    private func share(_ part: ByteCount) -> Double? {
      bytes == .zero ? nil : Double(part.rawValue) / Double(bytes.rawValue)
    }

    /// The difference from an earlier moment.
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

  /// The sizes of the VM layer's own data.
  package struct Metadata: Hashable, Sendable {
    /// The allocator and the reservations.
    package var allocator = ByteCount.zero
    /// The page trees of all objects.
    package var objects = ByteCount.zero
    /// The entries of all address spaces.
    package var maps = ByteCount.zero

    /// The sum.
    package var total: ByteCount { allocator + objects + maps }
  }

  /// The state of the host at one moment.
  package struct Sample: Hashable, Sendable {
    /// Simulated seconds since the start.
    package var time: Double
    /// The number of running guests.
    package var guests: Int
    /// The allocated memory.
    package var used: ByteCount
    /// The free memory that is known to be zero.
    package var zeroed: ByteCount
    /// `FreeBlocks.fragmentation` below 2 MiB.
    package var superpageFragmentation: Double
    /// `FreeBlocks.fragmentation` below the largest block.
    package var largestFragmentation: Double
    /// `Wires.superpageShare` since the sample before.
    package var superpageShare: Double?
    /// `Wires.largestShare` since the sample before.
    package var largestShare: Double?
    /// `Wires.zeroedShare` since the sample before.
    package var zeroedShare: Double?
    /// The sizes of the VM layer's own data.
    package var metadata: Metadata
  }

  /// The numbers of guests.
  package var guests = Guests()
  /// The wire operations.
  package var wires: Wires
  /// The guests whose wires can have pages of the largest size.
  package var largestBlocks = LargestBlocks()
  /// The number of faults, each of a base page.
  package var faults: UInt64 = 0
  /// The number of wires, faults and forks that found no free frame.
  package var shortages = 0
  /// The allocated memory over time.
  package var used = UsedMemory()
  /// The memory that was zeroed in the background.
  package var scrubbedBytes = ByteCount.zero
  /// The states of the host over time.
  package var samples: [Sample] = []
  /// The free memory after all guests have departed: all of the memory, unless frames were lost.
  package var freeAtEnd = ByteCount.zero
  /// The reservations that the faults made.
  package var reservations = ReservationStatistics()
  /// A hash (FNV-1a) of all operations in order with their arguments.
  package var digest: UInt64 = 0xCBF2_9CE4_8422_2325

  init(levels: Int) {
    wires = Wires(levels: levels)
  }

  /// The metadata of the sample with the most.
  package var peakMetadata: Metadata {
    samples.map(\.metadata).max { $0.total < $1.total } ?? Metadata()
  }

  /// Adds an operation to the digest.
  mutating func record(_ operation: Operation, _ guest: Int, _ argument: UInt64) {
    for byte in operation.rawValue.utf8 { mix(UInt64(byte)) }
    mix(UInt64(guest))
    mix(argument)
  }

  private mutating func mix(_ value: UInt64) {
    digest = (digest ^ value) &* 0x100_0000_01B3
  }
}
