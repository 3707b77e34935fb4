internal import Glibc
internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir
internal import SystemPackage

/// What a lease costs, from the request to an open file of ready memory: the owner of a reservoir,
/// and another process by the socket of the owner's service.
struct LeaseBudget {
  /// The number of counted runs.
  let runs: Int
  /// A folder in memory, for the reservoir.
  var parent = "/dev/shm"

  private static let size = ByteCount.mebibytes(2)
  private static let operation = "measure leases"

  /// Who leases.
  enum Way: CaseIterable {
    case owner
    case socket

    var name: String {
      switch self {
      case .owner: "lease by the owner"
      case .socket: "lease by the socket"
      }
    }

    var limit: Double {
      switch self {
      case .owner: 0.0002
      case .socket: 0.001
      }
    }
  }

  /// The rows, measured in a folder in memory that is gone afterwards. Where that is impossible,
  /// they say why.
  func rows() -> [Budget] {
    do throws(HoldfastError) {
      let seconds = try seconds()
      return Way.allCases.map { way in
        Budget(way.name, .seconds, way.limit, seconds[way].flatMap(HoldfastBench.median))
      }
    } catch {
      return Way.allCases.map { Budget($0.name, .seconds, $0.limit, nil, problem: error.reason) }
    }
  }

  /// The seconds of each run.
  func seconds() throws(HoldfastError) -> [Way: [Double]] {
    try BenchmarkFolder.with(in: parent, Self.operation) { (folder) throws(HoldfastError) in
      try seconds(in: folder)
    }
  }

  private func seconds(in folder: String) throws(HoldfastError) -> [Way: [Double]] {
    let reservoir = try Reservoir.create(mount: folder)
    let count = UInt64(runs + 1) * UInt64(Way.allCases.count)
    _ = try reservoir.fill(FillPlan([.init(count: Int(count), size: LeaseBudget.size)]))
    guard let listener = try reservoir.listenForLeases() else {
      throw HoldfastError(
        .busy, operation: Self.operation, reason: "another process listens at the socket")
    }
    let service = try Service(reservoir, listener)
    defer { service.stop() }
    let client = ReservoirClient(socket: "\(reservoir.path)/socket")
    var seconds: [Way: [Double]] = [:]
    for run in 0...runs {
      for way in Way.allCases {
        let request = LeaseRequest(size: LeaseBudget.size)
        let start = Instant.now
        let lease = try way == .owner ? reservoir.lease(request) : client.lease(request)
        let end = Instant.now
        withExtendedLifetime(lease) {}
        if run > 0 { seconds[way, default: []].append((end - start).seconds) }
      }
    }
    return seconds
  }

  /// A thread that serves the requests one after the other, as the service's threads do.
  private final class Service: Sendable {
    private let cancellation = CancellationToken()
    private let thread: BackgroundThread

    init(
      _ reservoir: Reservoir, _ listener: Reservoir.NamedListener
    ) throws(HoldfastError) {
      let server = LeaseServer(reservoir)
      do throws(Errno) {
        thread = try BackgroundThread("bench-lease") { [cancellation] in
          while !cancellation.isCancelled {
            var file = pollfd(fd: listener.socket.descriptor, events: Int16(POLLIN), revents: 0)
            // SAFETY: one entry, which lives through the call. It waits for 100 ms, so that the
            // thread sees the end.
            guard unsafe poll(&file, 1, 100) > 0,
              let connection = try? listener.socket.accept(), let user = try? connection.peer()
            else { continue }
            server.serve(
              connection, user: user, limits: LeaseLimits(), cancellation: cancellation)
          }
        }
      } catch {
        throw HoldfastError(
          .resourceShortage, operation: LeaseBudget.operation, reason: "no thread can be started",
          errno: error.rawValue)
      }
    }

    func stop() {
      cancellation.cancel()
      thread.join()
    }
  }
}
