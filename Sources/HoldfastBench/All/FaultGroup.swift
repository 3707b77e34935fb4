internal import HoldfastCore
internal import HoldfastLinux

/// Accesses to absent pages: of 2 MiB by a thread of this process, of 4 KiB by a guest.
final class FaultGroup: BenchmarkGroup {
  let name = "page faults"
  var ways: [MeasuredWay]
  /// Each access to a page of 2 MiB of the counted runs.
  private(set) var latencies: [FaultLatencies.Server: [Double]] = [:]
  private let host: HostCapabilities

  private static let superpage = "2M"
  private static let basePage = "4K"

  init(_ host: HostCapabilities) {
    self.host = host
    ways =
      FaultLatencies.Server.allCases.map { server in
        MeasuredWay(
          .fault, "\(server.rawValue), \(Self.superpage)",
          server == .handlerInC
            ? "2 MiB, a handler thread in C" : "2 MiB, Holdfast's handler threads",
          server == .handlerInC ? .floor : .holdfast, threads: 1,
          floor: server == .handlerInC
            ? nil : "\(FaultLatencies.Server.handlerInC.rawValue), \(Self.superpage)")
      }
      + FirstAccesses.Server.allCases.map { server in
        MeasuredWay(
          .fault, "\(server.rawValue), \(Self.basePage)", "4 KiB of a guest, \(server.words)",
          server == .handlerInC || server == .processorInC ? .floor : .holdfast, threads: 1,
          floor: server == .handlerThreads
            ? "\(FirstAccesses.Server.handlerInC.rawValue), \(Self.basePage)"
            : server == .processors
              ? "\(FirstAccesses.Server.processorInC.rawValue), \(Self.basePage)" : nil)
      }
  }

  func measure(
    run: Int, condition: Int, step: (String) throws(HoldfastError) -> Void
  ) throws(HoldfastError) {
    // Each has a run of its own that does not count.
    guard run > 0 else { return }
    try step("page faults")
    let faults = FaultLatencies(host: host, runs: 1)
    let accesses = FirstAccesses(host: host, runs: 1)
    let superpages = FaultLatencies.Server.allCases.map { faults.seconds[$0]?.last }
    let basePages = FirstAccesses.Server.allCases.map { accesses.seconds[$0]?.last }
    for (server, seconds) in zip(FaultLatencies.Server.allCases, superpages) {
      latencies[server, default: []] += seconds ?? []
    }
    let medians = superpages.map { $0.flatMap(HoldfastBench.median) } + basePages
    for (index, median) in medians.enumerated() where ways[index].problem == nil {
      if let median {
        ways[index].seconds.append(median)
        ways[index].conditions.append(condition)
      } else {
        let problem = index < superpages.count ? faults.problem : accesses.problem
        ways[index].fail(problem ?? "not measured")
      }
    }
  }
}

extension FirstAccesses.Server {
  fileprivate var words: String {
    switch self {
    case .handlerInC: "a handler thread in C"
    case .processorInC: "its processor in C"
    case .handlerThreads: "Holdfast's handler threads"
    case .processors: "its processor with Holdfast"
    }
  }
}
