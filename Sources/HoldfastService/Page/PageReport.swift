internal import HoldfastCore

/// The data of the service's page as JSON, whose keys do not change.
///
/// It has no names of leases: every local user can read it, and of other users' leases only their
/// number and size are public.
struct PageReport: Encodable, Sendable {
  let time: Double
  /// The reservoir's folder.
  let path: String
  let levels: [ServiceReport.Level]
  let service: ServiceReport
  let history: Samples

  struct Samples: Encodable, Sendable {
    let intervalSeconds: Double
    let samples: [History.Sample]
  }

  /// The present state.
  ///
  /// - Parameters:
  ///   - reading: the present metrics.
  ///   - problem: why the service is not healthy, or nil.
  init(
    _ reading: ServiceReading, _ history: History, path: String, problem: String?, time: Double
  ) {
    self.time = time
    self.path = path
    levels = LevelRow.all(reading.levels, reading.rows).map { ServiceReport.Level($0) }
    let age = reading.started.map { max(0, time - $0) } ?? .infinity
    service = ServiceReport(
      reading,
      since: history.change ?? ReadingChange(from: ServiceReading(), to: reading, seconds: age),
      problem: problem ?? "", source: nil)
    self.history = Samples(
      intervalSeconds: History.interval.seconds, samples: history.samples)
  }
}
