internal import NIOConcurrencyHelpers
internal import PlainHTTP

/// What a round has seen, for metrics and for the check of the accounting.
struct PluginReading: Sendable {
  /// A resource that the plugin offers.
  struct ResourceReading: Sendable {
    var name: String
    var devices = 0
    var healthy = 0
    var leased = 0
    /// nil where the kubelet does not say.
    var inUse: Int?
    var isRegistered = false
    var allocations = AllocationCounts()
  }

  /// A reservoir.
  struct ReservoirReading: Sendable {
    var socket: String
    /// When the service has answered; nil for never.
    var answered: ContinuousClock.Instant?
    var isReached = false
    /// What the service's metrics are read for; nil where they are not.
    var metrics: (path: String, isUp: Bool, metrics: ServiceMetrics?)?
  }

  var started: ContinuousClock.Instant
  var ended: ContinuousClock.Instant
  var resources: [ResourceReading] = []
  var reservoirs: [ReservoirReading] = []
  var balances: [MemoryBalance] = []
  var kubeletAnswered: ContinuousClock.Instant?
  /// The differences that count, and the line that says them.
  var differences: Set<AccountingDifference> = []
  var line: String?
}

/// The allocations of a resource, since the plugin's start.
struct AllocationCounts: Hashable, Sendable {
  var succeeded: UInt64 = 0
  var failed: UInt64 = 0
}

/// Answers requests for the last reading.
final class PluginReport: Sendable {
  private let reading = NIOLockedValueBox<PluginReading?>(nil)

  /// The time after which a plugin without a new reading does not do its work.
  private static let longestRound = Duration.seconds(60)

  func publish(_ reading: PluginReading) {
    self.reading.withLockedValue { $0 = reading }
  }

  func respond(_ path: String) -> HTTPTextResponse {
    let reading = reading.withLockedValue { $0 }
    switch path {
    case "/metrics":
      guard let reading else { return HTTPTextResponse(503, "no round has ended yet\n") }
      return HTTPTextResponse(200, reading.metrics(at: .now), type: MetricsText.type)
    case "/healthz": return Self.answer(Self.problem(reading), "ok")
    case "/accounting":
      return Self.answer(Self.problem(reading) ?? reading?.line, "the accounting agrees")
    default: return HTTPTextResponse(404, "/metrics, /healthz, /accounting\n")
    }
  }

  private static func answer(_ problem: String?, _ text: String) -> HTTPTextResponse {
    problem.map { HTTPTextResponse(503, $0 + "\n") } ?? HTTPTextResponse(200, text + "\n")
  }

  /// Why the rounds do not go on.
  private static func problem(_ reading: PluginReading?) -> String? {
    guard let reading else { return "no round has ended yet" }
    let age = ContinuousClock.now - reading.ended
    guard age > longestRound else { return nil }
    return "no round has ended for \(age.components.seconds) s"
  }
}
