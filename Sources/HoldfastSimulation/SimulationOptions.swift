package import HoldfastCore

/// What to simulate: a host, the guests that arrive, and how they use their memory.
package struct SimulationOptions: Sendable {
  /// When guests arrive.
  package enum Pattern: String, Sendable, CaseIterable {
    /// One by one, independently, at a steady rate: a Poisson process.
    case steady
    /// In deployments of guests of one size that arrive within a minute and depart together.
    case bursts
    /// As in a trace.
    case trace
  }

  /// The largest blocks of frames that wires take.
  package enum Blocks: String, Sendable, CaseIterable {
    /// Pages of the largest size, 1 GiB.
    case gib
    /// Superpages of level 1, 2 MiB.
    case superpage
  }

  /// The host's memory: a multiple of the base page, all free and zero at the start.
  package var memory: ByteCount
  /// The number of guests that run at the start and, on average, at once. A larger trace is
  /// randomly sampled; nil takes all guests of a trace.
  package var guests: Int?
  /// The simulated time, nil for that of the trace.
  package var duration: Duration?
  /// The mean of the guests' lifetimes, which are exponentially distributed. Not used for a trace.
  package var lifetime: Duration
  /// The guests' sizes. Not used for a trace.
  package var sizes: SizeMix
  /// When guests arrive.
  package var pattern: Pattern
  /// The guests of the trace, for that pattern.
  package var trace: [TraceGuest]
  /// The share of guests that are forks of a running one of their size, 0 to 1.
  package var forkShare: Double
  /// The share of guests that are not wired but get base pages by faults, 0 to 1.
  package var pagedShare: Double
  /// The share of its memory that a forked or paged guest writes to, base page by base page, 0 to
  /// 1, in four rounds over its lifetime. The original of a fork writes one round when it is
  /// forked.
  package var dirtyShare: Double
  /// The largest blocks of frames that wires take.
  package var blocks: Blocks
  /// How much dirty free memory is zeroed in a second of simulated time; zero for none.
  package var scrubRate: ByteCount
  /// The random seed. The same options with the same seed have the same result on every host.
  package var seed: UInt64

  /// Options with the defaults of `holdfast simulate`.
  package init(memory: ByteCount, guests: Int?, pattern: Pattern = .steady) {
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
    blocks = .gib
    scrubRate = .gibibytes(1)
    seed = 1
  }
}
