internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastSimulation

/// What `holdfast simulate` prints, as JSON, whose keys do not change. Byte counts and seconds are
/// numbers, shares are from 0 to 1. Everything except `times` is the same for the same options.
struct SimulateResult {
  let result: Simulation.Result
  /// The comparison with a run without blocks of 1 GiB, or nil.
  let comparison: BlockComparison?
  /// The file of the trace, or nil.
  let trace: String?

  init(_ result: Simulation.Result, _ comparison: BlockComparison? = nil, trace: String?) {
    self.result = result
    self.comparison = comparison
    self.trace = trace
  }

  var options: SimulationOptions { result.options }
  var figures: SimulationFigures { result.figures }

  /// Weighted by time.
  var meanUsed: ByteCount { figures.used.mean }
  /// At any moment.
  var mostUsed: ByteCount { figures.used.peak }

  /// The largest metadata as a share of the host's memory.
  var metadataShare: Double {
    Double(figures.peakMetadata.total.rawValue) / Double(options.memory.rawValue)
  }

  var fragmentation: Fragmentation { Fragmentation(figures) }

  /// The shares of the free memory in small blocks, over all samples.
  struct Fragmentation: Encodable {
    let below2MiB: Summary
    let below1GiB: Summary

    init(_ figures: SimulationFigures) {
      below2MiB = Summary(figures.samples.map(\.superpageFragmentation))
      below1GiB = Summary(figures.samples.map(\.largestFragmentation))
    }
  }

  /// The superpages that were set aside for base pages.
  struct Reservations: Encodable {
    let made: Int
    let filled: Int
    let broken: Int
    let emptied: Int

    init(_ statistics: ReservationStatistics) {
      made = statistics.reserved
      filled = statistics.filled
      broken = statistics.broken
      emptied = statistics.emptied
    }
  }

  /// A share over all samples.
  struct Summary: Encodable {
    let mean: Double
    let most: Double
    let last: Double

    fileprivate init(_ values: [Double]) {
      mean = HoldfastCLI.mean(values)
      most = values.max() ?? 0
      last = values.last ?? 0
    }
  }
}

extension SimulateResult: Encodable {
  private enum Key: String, CodingKey {
    case options, simulatedSeconds, guests, wires, faults, shortages, memory, fragmentation
    case gibBlocks, blockComparison
    case reservations, metadata, digest, samples, times
  }

  private enum OptionKey: String, CodingKey {
    case memoryBytes, guests, arrivals, trace, lifetimeSeconds, sizes
    case forkShare, pagedShare, dirtyShare, blocks, scrubBytesPerSecond, seed
  }

  private struct SizePart: Encodable {
    let bytes: ByteCount
    let weight: Double
  }

  private enum FigureKey: String, CodingKey {
    case meanUsedBytes, mostUsedBytes, scrubbedBytes, freeAtEndBytes
    case bytes, share, allocatorBytes, objectBytes, mapBytes
  }

  func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    var options = object.nestedContainer(keyedBy: OptionKey.self, forKey: .options)
    try encodeOptions(to: &options)
    try object.encode(result.duration, forKey: .simulatedSeconds)
    try object.encode(figures.guests, forKey: .guests)
    try object.encode(figures.wires, forKey: .wires)
    try object.encode(figures.faults, forKey: .faults)
    try object.encode(figures.shortages, forKey: .shortages)
    var memory = object.nestedContainer(keyedBy: FigureKey.self, forKey: .memory)
    try memory.encode(meanUsed, forKey: .meanUsedBytes)
    try memory.encode(mostUsed, forKey: .mostUsedBytes)
    try memory.encode(figures.scrubbedBytes, forKey: .scrubbedBytes)
    try memory.encode(figures.freeAtEnd, forKey: .freeAtEndBytes)
    try object.encode(fragmentation, forKey: .fragmentation)
    try object.encode(Reservations(figures.reservations), forKey: .reservations)
    try object.encode(figures.largestBlocks, forKey: .gibBlocks)
    try object.encode(comparison.map { ComparisonResult($0) }, forKey: .blockComparison)
    var metadata = object.nestedContainer(keyedBy: FigureKey.self, forKey: .metadata)
    let peak = figures.peakMetadata
    try metadata.encode(peak.total, forKey: .bytes)
    try metadata.encode(metadataShare, forKey: .share)
    try metadata.encode(peak.allocator, forKey: .allocatorBytes)
    try metadata.encode(peak.objects, forKey: .objectBytes)
    try metadata.encode(peak.maps, forKey: .mapBytes)
    let digits = String(figures.digest, radix: 16)
    try object.encode(
      String(repeating: "0", count: 16 - digits.count) + digits, forKey: .digest)
    try object.encode(figures.samples, forKey: .samples)
    try object.encode(
      Dictionary(uniqueKeysWithValues: result.times.map { ($0.key.rawValue, $0.value) }),
      forKey: .times)
  }

  /// With a trace, which has lifetimes and sizes of its own, those of the options are null; without
  /// `--guests` all of it runs.
  private func encodeOptions(to object: inout KeyedEncodingContainer<OptionKey>) throws {
    try object.encode(options.memory, forKey: .memoryBytes)
    try object.encode(options.guests, forKey: .guests)
    try object.encode(options.pattern.rawValue, forKey: .arrivals)
    try object.encode(trace, forKey: .trace)
    let hasOwn = options.pattern != .trace
    try object.encode(hasOwn ? options.lifetime.seconds : nil, forKey: .lifetimeSeconds)
    try object.encode(
      hasOwn ? options.sizes.parts.map { SizePart(bytes: $0.size, weight: $0.weight) } : nil,
      forKey: .sizes)
    try object.encode(options.forkShare, forKey: .forkShare)
    try object.encode(options.pagedShare, forKey: .pagedShare)
    try object.encode(options.dirtyShare, forKey: .dirtyShare)
    try object.encode(options.blocks.rawValue, forKey: .blocks)
    try object.encode(options.scrubRate, forKey: .scrubBytesPerSecond)
    try object.encode(options.seed, forKey: .seed)
  }
}

private func mean(_ values: [Double]) -> Double {
  values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count)
}
