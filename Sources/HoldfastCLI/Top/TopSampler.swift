internal import HoldfastCore
internal import HoldfastReservoir
internal import HoldfastService

/// Reads what a view shows: the files by the reservoir's folders or its service, as `status` does,
/// and the metrics of the service.
///
/// Safe to use from any thread.
final class TopSampler: Sendable {
  /// Where to look.
  struct Options {
    var mount: String?
    var socket: String?
    /// Where the metrics are; nil for where the configuration says.
    var metrics: MetricsSource?
    var configuration = TopSampler.defaultConfiguration
    var interval = Duration.seconds(2)
  }

  static let defaultConfiguration = "/etc/holdfast/reservoir.conf"

  private let options: Options
  private let lock = Lock()
  // Protected by `lock`: what was read last.
  private nonisolated(unsafe) var lastStatus: (ReservoirStatus, ContinuousClock.Instant)?
  private nonisolated(unsafe) var lastReading: (ServiceReading, ContinuousClock.Instant)?

  init(_ options: Options) { self.options = options }

  /// Reads the present state and compares it with the one before.
  func sample() -> TopState {
    lock.withLock { sampleLocked() }
  }

  private func sampleLocked() -> TopState {
    var state = TopState(
      time: LocalTime.now, clock: LocalTime.clock, interval: options.interval,
      service: .unknown(""))
    do throws(HoldfastError) {
      state.status = try ReservoirAccess(mount: options.mount, socket: options.socket).status()
    } catch {
      state.problem = AdviceText.line(error)
    }
    let configuration = self.configuration(state.status)
    compareLeasesLocked(&state)
    let reading = readLocked(configuration, &state)
    state.rows = state.status?.rows ?? reading?.rows ?? []
    var levels = reading?.levels
    if levels == nil, case .success(let configuration) = configuration {
      levels = configuration.levels
      state.levelSource = options.configuration
    }
    state.levels = LevelRow.all(levels ?? [], state.rows)
    return state
  }

  private func compareLeasesLocked(_ state: inout TopState) {
    guard let status = state.status else { return }
    let now = ContinuousClock.now
    if let (before, moment) = unsafe lastStatus {
      state.leases = .init(from: before.leases, to: status.leases)
      state.period = .interval(now - moment)
    }
    unsafe lastStatus = (status, now)
  }

  /// Reads the metrics, and compares them with those before.
  private func readLocked(
    _ configuration: Result<ServiceConfiguration, HoldfastError>, _ state: inout TopState
  ) -> ServiceReading? {
    do throws(HoldfastError) {
      let source =
        if let named = options.metrics {
          named
        } else {
          try MetricsSource(configuration.get(), file: options.configuration)
        }
      let contents = try source.read()
      let reading = contents.reading
      let now = ContinuousClock.now
      let last = unsafe lastReading
      let elapsed = last.map { now - $0.1 }
      // Without one before, the rates are those since the start.
      let age = reading.started.map { max(0, state.time - $0) }
      state.period = elapsed.map { .interval($0) } ?? .sinceStart
      state.service = .read(
        contents, from: source,
        ReadingChange(
          from: last?.0 ?? ServiceReading(), to: reading,
          seconds: min(elapsed?.seconds ?? .infinity, age ?? .infinity)))
      unsafe lastReading = (reading, now)
      return reading
    } catch {
      state.service = .unknown(AdviceText.line(error))
      return nil
    }
  }

  /// The configuration of the service of this reservoir.
  private func configuration(
    _ status: ReservoirStatus?
  ) -> Result<ServiceConfiguration, HoldfastError> {
    do throws(HoldfastError) {
      let configuration = try ServiceConfiguration(file: options.configuration)
      if let mount = configuration.mount, let status, status.path != mount + "/holdfast" {
        throw HoldfastError(
          .unsupported, operation: "",
          reason: "\(options.configuration) is of another reservoir, on \(mount)")
      }
      return .success(configuration)
    } catch {
      return .failure(error)
    }
  }
}
