internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastSimulation

/// What `holdfast simulate` prints, as JSON: keys stay as they are. Byte counts and seconds are
/// numbers, shares are from 0 to 1. All but `times` is the same for the same options.
struct SimulateResult: Encodable {
  let options: Options
  let simulatedSeconds: Double
  let guests: Guests
  let wires: Wires
  /// Base pages that were touched.
  let faults: UInt64
  /// Touches and forks that found no free frame.
  let shortages: Int
  let memory: Memory
  let fragmentation: Fragmentation
  let reservations: Reservations
  let metadata: Metadata
  /// Of all operations in order, as hexadecimal digits.
  let digest: String
  let samples: [Sample]
  /// By operation.
  let times: [String: Times]

  struct Options: Encodable {
    let memoryBytes: ByteCount
    /// At once on average; missing for all of a trace.
    let guests: Int?
    let arrivals: String
    let trace: String?
    /// Missing for a trace, as are the sizes.
    let lifetimeSeconds: Double?
    let sizes: [Size]?
    let forkShare: Double
    let pagedShare: Double
    let dirtyShare: Double
    let scrubBytesPerSecond: ByteCount
    let seed: UInt64

    struct Size: Encodable {
      let bytes: ByteCount
      let weight: Double
    }
  }

  struct Guests: Encodable {
    let arrived: Int
    let wired: Int
    let paged: Int
    let forked: Int
    let refused: Int
    let refusedBytes: ByteCount
    let mostAtOnce: Int
  }

  struct Wires: Encodable {
    let count: Int
    let bytes: ByteCount
    /// Bytes by the size in bytes of the pages that hold them.
    let bytesByPageSize: [String: ByteCount]
    /// Null without wires, as is the next.
    let superpageShare: Double?
    let zeroedShare: Double?
  }

  struct Memory: Encodable {
    let meanUsedBytes: ByteCount
    let mostUsedBytes: ByteCount
    let scrubbedBytes: ByteCount
    /// Once all guests have gone.
    let freeAtEndBytes: ByteCount
  }

  /// The share of the free memory in blocks that are smaller.
  struct Fragmentation: Encodable {
    let below2MiB: Summary
    let below1GiB: Summary

    struct Summary: Encodable {
      let mean: Double
      let most: Double
      let last: Double
    }
  }

  /// Superpages that base pages began to fill, and what became of them.
  struct Reservations: Encodable {
    let made: Int
    let filled: Int
    let broken: Int
    let emptied: Int
  }

  /// Where they were largest.
  struct Metadata: Encodable {
    let bytes: ByteCount
    /// Of the host's memory.
    let share: Double
    let allocatorBytes: ByteCount
    let objectBytes: ByteCount
    let mapBytes: ByteCount
  }

  struct Sample: Encodable {
    let seconds: Double
    let guests: Int
    let usedBytes: ByteCount
    let zeroedBytes: ByteCount
    let below2MiB: Double
    let below1GiB: Double
    let superpageShare: Double?
    let largestShare: Double?
    let zeroedShare: Double?
    let metadataBytes: ByteCount
  }

  /// In seconds. Quantiles are at most 3 % too high.
  struct Times: Encodable {
    let count: UInt64
    let total: Double
    let mean: Double?
    let median: Double?
    let p99: Double?
    let longest: Double?
  }
}

extension SimulateResult {
  init(_ result: Simulation.Result, trace: String?) {
    let figures = result.figures
    let isTrace = result.options.pattern == .trace
    options = Options(
      memoryBytes: result.options.memory, guests: result.options.guests,
      arrivals: result.options.pattern.rawValue, trace: trace,
      lifetimeSeconds: isTrace ? nil : result.options.lifetime.seconds,
      sizes: isTrace
        ? nil : result.options.sizes.parts.map { Options.Size(bytes: $0.size, weight: $0.weight) },
      forkShare: result.options.forkShare, pagedShare: result.options.pagedShare,
      dirtyShare: result.options.dirtyShare, scrubBytesPerSecond: result.options.scrubRate,
      seed: result.options.seed)
    simulatedSeconds = result.duration
    guests = Guests(
      arrived: figures.guests.arrived, wired: figures.guests.wired, paged: figures.guests.paged,
      forked: figures.guests.forked, refused: figures.guests.refused,
      refusedBytes: figures.guests.refusedBytes, mostAtOnce: figures.guests.mostAtOnce)
    let geometry = Geometry.small
    wires = Wires(
      count: figures.wires.count, bytes: figures.wires.bytes,
      bytesByPageSize: Dictionary(
        uniqueKeysWithValues: figures.wires.bytesByLevel.enumerated().map {
          ("\(geometry.size(ofLevel: $0.offset).rawValue)", $0.element)
        }),
      superpageShare: figures.wires.superpageShare, zeroedShare: figures.wires.zeroedShare)
    faults = figures.faults
    shortages = figures.shortages
    let used = figures.samples.map { Double($0.used.rawValue) }
    memory = Memory(
      meanUsedBytes: ByteCount(UInt64(mean(used))),
      mostUsedBytes: figures.samples.map(\.used).max() ?? .zero,
      scrubbedBytes: figures.scrubbedBytes, freeAtEndBytes: figures.freeAtEnd)
    fragmentation = Fragmentation(
      below2MiB: Fragmentation.Summary(figures.samples.map(\.superpageFragmentation)),
      below1GiB: Fragmentation.Summary(figures.samples.map(\.largestFragmentation)))
    reservations = Reservations(
      made: figures.reservations.reserved, filled: figures.reservations.filled,
      broken: figures.reservations.broken, emptied: figures.reservations.emptied)
    let peak = figures.peakMetadata
    metadata = Metadata(
      bytes: peak.total,
      share: Double(peak.total.rawValue) / Double(result.options.memory.rawValue),
      allocatorBytes: peak.allocator, objectBytes: peak.objects, mapBytes: peak.maps)
    let digits = String(figures.digest, radix: 16)
    digest = String(repeating: "0", count: 16 - digits.count) + digits
    samples = figures.samples.map(Sample.init)
    times = Dictionary(
      uniqueKeysWithValues: result.times.map { ($0.key.rawValue, Times($0.value)) })
  }
}

private func mean(_ values: [Double]) -> Double {
  values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count)
}

extension SimulateResult.Fragmentation.Summary {
  fileprivate init(_ values: [Double]) {
    self.init(
      mean: HoldfastCLI.mean(values), most: values.max() ?? 0, last: values.last ?? 0)
  }
}

extension SimulateResult.Sample {
  fileprivate init(_ sample: SimulationFigures.Sample) {
    self.init(
      seconds: sample.time, guests: sample.guests, usedBytes: sample.used,
      zeroedBytes: sample.zeroed, below2MiB: sample.superpageFragmentation,
      below1GiB: sample.largestFragmentation, superpageShare: sample.superpageShare,
      largestShare: sample.largestShare, zeroedShare: sample.zeroedShare,
      metadataBytes: sample.metadata.total)
  }
}

extension SimulateResult.Times {
  fileprivate init(_ times: OperationTimes) {
    func seconds(_ nanoseconds: UInt64?) -> Double? { nanoseconds.map { Double($0) / 1e9 } }
    self.init(
      count: times.count, total: Double(times.total) / 1e9, mean: times.mean.map { $0 / 1e9 },
      median: seconds(times.quantile(0.5)), p99: seconds(times.quantile(0.99)),
      longest: times.count == 0 ? nil : seconds(times.longest))
  }
}
