internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastSimulation

/// What `holdfast simulate` prints, as JSON, whose keys do not change. Byte counts and seconds are
/// numbers, shares are from 0 to 1. Everything except `times` is the same for the same options.
struct SimulateResult {
  let result: Simulation.Result
  /// The file of the trace, or nil.
  let trace: String?

  init(_ result: Simulation.Result, trace: String?) {
    self.result = result
    self.trace = trace
  }

  var options: SimulationOptions { result.options }
  var figures: SimulationFigures { result.figures }

  /// Whether all memory was free after all guests had left.
  var isAllFree: Bool { figures.freeAtEnd == options.memory }

  /// Weighted by time.
  var meanUsed: ByteCount { figures.used.mean }
  /// At any moment.
  var mostUsed: ByteCount { figures.used.peak }

  /// The largest metadata as a share of the host's memory.
  var metadataShare: Double {
    Double(figures.peakMetadata.total.rawValue) / Double(options.memory.rawValue)
  }

  /// The share of the free memory in blocks smaller than 2 MiB, over all samples.
  var below2MiB: Summary { Summary(figures.samples.map(\.superpageFragmentation)) }
  /// The same for blocks smaller than 1 GiB.
  var below1GiB: Summary { Summary(figures.samples.map(\.largestFragmentation)) }

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
    case reservations, metadata, digest, samples, times
  }

  private enum OptionKey: String, CodingKey {
    case memoryBytes, guests, arrivals, trace, lifetimeSeconds, sizes
    case forkShare, pagedShare, dirtyShare, scrubBytesPerSecond, seed
    case bytes, weight
  }

  private enum FigureKey: String, CodingKey {
    case meanUsedBytes, mostUsedBytes, scrubbedBytes, freeAtEndBytes
    case below2MiB, below1GiB
    case made, filled, broken, emptied
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
    var fragmentation = object.nestedContainer(keyedBy: FigureKey.self, forKey: .fragmentation)
    try fragmentation.encode(below2MiB, forKey: .below2MiB)
    try fragmentation.encode(below1GiB, forKey: .below1GiB)
    var reservations = object.nestedContainer(keyedBy: FigureKey.self, forKey: .reservations)
    try reservations.encode(figures.reservations.reserved, forKey: .made)
    try reservations.encode(figures.reservations.filled, forKey: .filled)
    try reservations.encode(figures.reservations.broken, forKey: .broken)
    try reservations.encode(figures.reservations.emptied, forKey: .emptied)
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

  /// A trace has no lifetimes and sizes of its own options; without `--guests` all of it runs.
  private func encodeOptions(to object: inout KeyedEncodingContainer<OptionKey>) throws {
    try object.encode(options.memory, forKey: .memoryBytes)
    try object.encodeIfPresent(options.guests, forKey: .guests)
    try object.encode(options.pattern.rawValue, forKey: .arrivals)
    try object.encodeIfPresent(trace, forKey: .trace)
    if options.pattern != .trace {
      try object.encode(options.lifetime.seconds, forKey: .lifetimeSeconds)
      var sizes = object.nestedUnkeyedContainer(forKey: .sizes)
      for part in options.sizes.parts {
        var size = sizes.nestedContainer(keyedBy: OptionKey.self)
        try size.encode(part.size, forKey: .bytes)
        try size.encode(part.weight, forKey: .weight)
      }
    }
    try object.encode(options.forkShare, forKey: .forkShare)
    try object.encode(options.pagedShare, forKey: .pagedShare)
    try object.encode(options.dirtyShare, forKey: .dirtyShare)
    try object.encode(options.scrubRate, forKey: .scrubBytesPerSecond)
    try object.encode(options.seed, forKey: .seed)
  }
}

private func mean(_ values: [Double]) -> Double {
  values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count)
}
