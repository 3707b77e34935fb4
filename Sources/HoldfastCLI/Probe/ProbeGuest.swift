internal import Holdfast
internal import HoldfastCore
internal import HoldfastKVM
internal import HoldfastLinux

/// A guest of `holdfast probe`: its memory, a machine on it, and its page faults.
struct ProbeGuest {
  let memory: GuestMemory
  private let runner: GuestRunner
  private let failures: ProbeFailures

  /// Creates a machine on memory whose demand paging is `failures.paging`.
  init(_ memory: GuestMemory, _ failures: ProbeFailures, cpus: Int) throws(HoldfastError) {
    self.memory = memory
    self.failures = failures
    runner = try GuestRunner(memory: memory, processors: cpus)
  }

  /// Runs a program that accesses a word in each 4K page.
  func run(
    _ program: GuestProgram, over ranges: [AddressRange], seed: UInt64 = 1
  ) throws -> GuestResult {
    do {
      return try runner.run(GuestTask(program, over: ranges, seed: seed))
    } catch {
      guard let failure = failures.first else { throw error }
      throw CLIError(
        "cannot serve the guest's page fault at \(failure.address): \(failure.error.reason)"
          + "; try: "
          + (failure.error.code == .pagerFailure ? "another --snapshot-file" : "less --memory"))
    }
  }

  /// The statistics of the page faults; nil without demand paging, where a fault ends the guest.
  var faults: FaultStatistics? { memory.faultHandler?.statistics }

  /// How many bytes of the words that `fill` writes differ from what it has written, as this
  /// process reads them, without the guest and its translations.
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

  /// Whether every resident byte of the ranges is zero, as this process reads it.
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

/// The page faults that could not be served, which end the guest.
final class ProbeFailures: Sendable {
  private let lock = Lock()
  /// Protected by `lock`.
  private nonisolated(unsafe) var found: FaultFailure?

  var first: FaultFailure? { lock.withLock { unsafe found } }

  /// Demand paging that keeps the first failure and refuses all that fail.
  var paging: DemandPaging {
    DemandPaging { [self] failure in
      lock.withLock { if unsafe found == nil { unsafe found = failure } }
      return .refuse
    }
  }
}
