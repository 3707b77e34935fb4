internal import Holdfast
internal import HoldfastCore
internal import HoldfastKVM
internal import HoldfastLinux

/// A guest of `holdfast probe`: memory, a machine on it, and what its faults came to.
struct ProbeGuest {
  let memory: GuestMemory
  private let runner: GuestRunner
  private let failures: ProbeFailures

  /// A machine on memory that was made with the failures' answer.
  init(_ memory: GuestMemory, _ failures: ProbeFailures, cpus: Int) throws(HoldfastError) {
    self.memory = memory
    self.failures = failures
    runner = try GuestRunner(memory: memory, processors: cpus)
  }

  /// Runs a program, a word a 4K page.
  func run(
    _ program: GuestProgram, over ranges: [AddressRange], seed: UInt64 = 1
  ) throws -> GuestResult {
    do {
      return try runner.run(GuestTask(program, over: ranges, seed: seed))
    } catch {
      guard let failure = failures.first else { throw error }
      throw CLIError(
        "cannot bring in the guest's memory at \(failure.address): \(failure.error.reason)"
          + "; try: "
          + (failure.error.code == .pagerFailure ? "another --snapshot-file" : "less --memory"))
    }
  }

  /// Nil where faults are not answered: there were none, as the guest came to its end.
  var faults: FaultStatistics? { memory.faultHandler?.statistics }

  /// How many bytes of the words that `fill` writes differ from what it has written, as this process sees
  /// them, without the guest and its translations.
  func wrongBytes(in ranges: [AddressRange], seed: UInt64) throws -> UInt64 {
    var wrong: UInt64 = 0
    for range in ranges {
      var start = range.start
      while start < range.end {
        let count = min((range.end - start).rawValue, 1 << 20)
        let bytes = try memory.read(start, count: Int(count))
        for offset in stride(from: 0, to: Int(count), by: 4096) {
          var word: UInt64 = 0
          for place in (offset..<offset + 8).reversed() { word = word << 8 | UInt64(bytes[place]) }
          let address = start + ByteCount(UInt64(offset))
          if word != GuestProgram.pattern(at: address, seed: seed) { wrong += 8 }
        }
        start = start + ByteCount(count)
      }
    }
    return wrong
  }

  /// Whether every byte that is in memory in the ranges is zero, as this process sees it.
  func isZero(_ ranges: [AddressRange]) -> Bool {
    var isZero = true
    for range in ranges {
      memory.space.forEachResident(in: range) { _, frames, _ in
        if isZero { isZero = memory.arena.isZero(frames) }
      }
    }
    return isZero
  }
}

/// The faults that could not be served: the guest is not to wait for them.
final class ProbeFailures: Sendable {
  private let lock = Lock()
  /// Protected by `lock`.
  private nonisolated(unsafe) var found: FaultFailure?

  var first: FaultFailure? { lock.withLock { unsafe found } }

  /// Paging that notes the first failure and refuses all of them.
  var paging: DemandPaging {
    DemandPaging { [self] failure in
      lock.withLock { if unsafe found == nil { unsafe found = failure } }
      return .refuse
    }
  }
}
