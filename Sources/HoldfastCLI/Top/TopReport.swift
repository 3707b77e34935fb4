internal import HoldfastReservoir
internal import HoldfastService

/// A view for programs: an object of JSON, whose keys do not change.
struct TopReport: Encodable {
  let time: Double
  let status: ReservoirStatus?
  let problem: String?
  let levels: [ServiceReport.Level]
  let service: ServiceReport

  init(_ state: TopState) {
    time = state.time
    status = state.status
    problem = state.problem
    levels = state.levels.map { ServiceReport.Level($0) }
    switch state.service {
    case .unknown(let reason): service = ServiceReport(unknown: reason)
    case .read(let contents, let source, let change):
      service = ServiceReport(
        contents.reading, since: change, problem: contents.problem, source: "\(source)")
    }
  }
}
