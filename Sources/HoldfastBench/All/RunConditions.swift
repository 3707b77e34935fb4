internal import CHoldfastBench
internal import HoldfastCore
internal import HoldfastLinux

/// What else the host did during a part of a run.
public struct RunConditions: Hashable, Sendable {
  /// What was measured.
  public let part: String
  /// The run, from 1; 0 is the warm-up.
  public let run: Int
  /// The load average of the last minute at the end, which contains this program; nil if unknown.
  public let load: Double?
  /// The share of the processors' time that the hypervisor gave to others, or nil if unknown.
  public let steal: Double?
  /// The share of the processors' time that other processes took, or nil if unknown.
  public let others: Double?

  /// A run with a larger share of steal is noisy.
  public static let mostSteal = 0.01
  /// A run of which other processes took a larger share is noisy.
  public static let mostOthers = 0.05

  /// Whether the host did so much else that the run's times say less.
  public var isNoisy: Bool {
    (steal ?? 0) > RunConditions.mostSteal || (others ?? 0) > RunConditions.mostOthers
  }
}

extension RunConditions: Encodable {
  private enum Key: String, CodingKey { case part, run, load, stealPercent, othersPercent, noisy }

  /// Writes all keys; what is missing is null.
  public func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(part, forKey: .part)
    try object.encode(run, forKey: .run)
    try object.encode(load, forKey: .load)
    try object.encode(steal.map { 100 * $0 }, forKey: .stealPercent)
    try object.encode(others.map { 100 * $0 }, forKey: .othersPercent)
    try object.encode(isNoisy, forKey: .noisy)
  }
}

/// The processors' times at a moment (proc_stat(5)), from which the conditions of a run are computed.
struct ProcessorTimes: Hashable, Sendable {
  /// All time, in seconds of one processor.
  var all = 0.0
  /// The time that programs and the kernel took.
  var busy = 0.0
  /// The time in which the hypervisor ran others.
  var steal = 0.0
  /// The part of `busy` that was this process's, and that of the processes that it waited for.
  var own = 0.0

  /// Reads the first line of /proc/stat; nil for another text.
  ///
  /// - Parameter ticks: the kernel's clock ticks in a second.
  init?(_ text: String, own: Double, ticks: Double = 100) {
    guard let line = text.split(separator: "\n").first, line.hasPrefix("cpu ") else { return nil }
    // user, nice, system, idle, iowait, irq, softirq, steal; guests' time is in the first ones.
    let fields = line.split(separator: " ").dropFirst().prefix(8).map { Double($0) ?? 0 }
    guard fields.count == 8 else { return nil }
    let seconds = fields.map { $0 / ticks }
    all = seconds.reduce(0, +)
    busy = seconds[0] + seconds[1] + seconds[2] + seconds[5] + seconds[6]
    steal = seconds[7]
    self.own = own
  }

  /// The times now, or nil where /proc does not tell.
  static var now: ProcessorTimes? {
    guard let text = HostFiles(root: "/").text("/proc/stat", limit: 1 << 12) else { return nil }
    return ProcessorTimes(text, own: hf_bench_processor_seconds())
  }

  /// The conditions from an earlier moment to this one.
  func conditions(
    since start: ProcessorTimes, part: String, run: Int, load: Double?
  ) -> RunConditions {
    let all = all - start.all
    func share(_ time: Double) -> Double? { all > 0 ? max(0, min(1, time / all)) : nil }
    return RunConditions(
      part: part, run: run, load: load, steal: share(steal - start.steal),
      others: share(busy - start.busy - (own - start.own)))
  }

  /// The load average of the last minute, or nil where /proc does not tell.
  static var load: Double? {
    HostFiles(root: "/").text("/proc/loadavg", limit: 64)?.split(separator: " ").first.flatMap {
      Double($0)
    }
  }
}
