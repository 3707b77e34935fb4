import Foundation
import HoldfastCore

@testable import HoldfastSimulation

/// How many seeds the small host is run with: HOLDFAST_SIMULATION_SEEDS.
let smallRuns =
  ProcessInfo.processInfo.environment["HOLDFAST_SIMULATION_SEEDS"].flatMap { UInt64($0) } ?? 2

/// A host of 2 GiB with twelve guests at once, small enough to inspect every page.
func smallOptions(
  seed: UInt64 = 1, pattern: SimulationOptions.Pattern = .steady
) -> SimulationOptions {
  var options = SimulationOptions(memory: .gibibytes(2), guests: 12, pattern: pattern)
  options.duration = .seconds(6 * 3600)
  options.lifetime = .seconds(3600)
  options.forkShare = 0.2
  options.pagedShare = 0.3
  options.dirtyShare = 0.02
  options.scrubRate = .mebibytes(2)
  options.seed = seed
  return options
}

/// A clock that advances by a microsecond at each call.
func countingClock(step: UInt64 = 1000) -> Simulation.Clock {
  var time: UInt64 = 0
  return {
    time += step
    return time
  }
}
