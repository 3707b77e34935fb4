public import HoldfastCore

/// What is simulated: a host, the guests that come to it, and how these use their memory.
public struct SimulationOptions: Sendable {
  /// When guests come.
  public enum Pattern: String, Sendable, CaseIterable {
    /// One by one, independently, at a steady rate: a Poisson process.
    case steady
    /// In deployments of guests of one size that come within a minute and go together.
    case bursts
    /// As a trace says.
    case trace
  }

  /// The host's memory: a multiple of the base page, all free and zero at the start.
  public var memory: ByteCount
  /// How many guests run at once on average; the number that there are at the start. A trace of more
  /// is thinned by chance; nil takes all of a trace.
  public var guests: Int?
  /// The simulated time, nil for that of the trace.
  public var duration: Duration?
  /// The mean of the guests' lifetimes, which are exponential. Not of a trace's.
  public var lifetime: Duration
  /// How large guests are. Not those of a trace.
  public var sizes: SizeMix
  public var pattern: Pattern
  /// What a trace says, for that pattern.
  public var trace: [TraceGuest]
  /// The share of guests that are forks of a running one of their size, 0 to 1.
  public var forkShare: Double
  /// The share of guests that are not wired but get base pages when they touch them, 0 to 1.
  public var pagedShare: Double
  /// The share of its memory that a guest of these two kinds writes to, base page by base page, 0 to
  /// 1, in four rounds over its life. The original of a fork writes one round when it is forked.
  public var dirtyShare: Double
  /// Bytes of dirty free memory that are zeroed in a second of simulated time; zero for none.
  public var scrubRate: ByteCount
  public var seed: UInt64

  /// The defaults of `holdfast simulate`.
  public init(memory: ByteCount, guests: Int?, pattern: Pattern = .steady) {
    self.memory = memory
    self.guests = guests
    self.pattern = pattern
    duration = pattern == .trace ? nil : .seconds(2 * 86_400)
    lifetime = .seconds(12 * 3600)
    sizes = SizeMix(memory: memory, guests: guests ?? 1000)
    trace = []
    forkShare = 0.1
    pagedShare = 0.15
    dirtyShare = 0.0005
    scrubRate = .gibibytes(1)
    seed = 1
  }
}

/// The sizes that guests have, each as often as its weight says.
public struct SizeMix: Hashable, Sendable {
  /// A size, a multiple of the base page, and its weight.
  public struct Part: Hashable, Sendable {
    public let size: ByteCount
    public let weight: Double

    public init(_ size: ByteCount, weight: Double) {
      self.size = size
      self.weight = weight
    }
  }

  public let parts: [Part]

  /// A mix of at least one part; weights are over 0.
  public init(_ parts: [Part]) {
    precondition(!parts.isEmpty, "a mix has a size")
    self.parts = parts
  }

  /// A mix that with so many guests, of which three quarters are wired, fills about nine tenths of a
  /// memory or somewhat less: from an eighth to four times what each would get, which is rounded down
  /// to a power of two.
  public init(memory: ByteCount, guests: Int) {
    let page = Geometry.small.pageSize
    let each = max(memory.rawValue / UInt64(max(1, guests)), page.rawValue * 32)
    let unit = UInt64(1) << UInt64(63 - each.leadingZeroBitCount)
    // In thirty-seconds; 7 of them are what a guest of 3.5 GB is beside one of 16.
    let shares: [(UInt64, Double)] = [
      (4, 8), (7, 7), (8, 8), (16, 20), (32, 27), (64, 19), (128, 11),
    ]
    parts = shares.map { Part(ByteCount(unit / 32 * $0.0), weight: $0.1) }
  }

  /// The mean size in bytes.
  public var mean: Double {
    let weights = parts.reduce(0) { $0 + $1.weight }
    return parts.reduce(0) { $0 + Double($1.size.rawValue) * $1.weight } / weights
  }

  func pick(_ random: inout RandomSource) -> ByteCount {
    var rest = random.unit() * parts.reduce(0) { $0 + $1.weight }
    for part in parts {
      rest -= part.weight
      if rest < 0 { return part.size }
    }
    return parts[parts.count - 1].size
  }
}

extension Duration {
  /// As a number of seconds.
  var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) / 1e18
  }
}
