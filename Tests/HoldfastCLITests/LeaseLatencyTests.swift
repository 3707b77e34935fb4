import Foundation
import HoldfastCore
import HoldfastReservoir
import HoldfastTestKit
import Testing

/// Measures leases of 4 MiB by the owner, in this process, and by a member from a service in another
/// one. The times decide nothing; a debug build has other ones.
@Suite(.enabled(if: HostNeeds.isRoot, "needs root, to lease as another user"))
struct LeaseLatencyTests {
  private let size = ByteCount.mebibytes(4)
  private static let batches = 10
  private static let batch = 20

  /// The median of the times of a number of leases, which are released after each batch.
  private func median(
    _ reservoir: Reservoir, user: UInt32, _ lease: (LeaseRequest) throws -> Lease
  ) throws -> Double {
    var times: [Duration] = []
    for _ in 0..<Self.batches {
      _ = try reservoir.fill(FillPlan([.init(count: Self.batch, size: size)]))
      var leases: [Lease] = []
      for number in 0..<Self.batch {
        let request = LeaseRequest(size: size, name: try LeaseName("vm\(number)"))
        let start = ContinuousClock.now
        leases.append(try lease(request))
        times.append(ContinuousClock.now - start)
      }
      leases = []
      for number in 0..<Self.batch {
        _ = try reservoir.release(LeaseName("vm\(number)"), user: user)
      }
    }
    times.sort()
    return times[times.count / 2] / .microseconds(1)
  }

  @Test func leases() throws {
    let served = try ServedPlace(options: ["--group", "65534"])
    let path = served.folder.path + "/socket"
    try #require(chmod(served.folder.path, 0o755) == 0)
    // The service fills nothing meanwhile.
    try served.configure(
      "[socket]\npath = \(path)\nmode = 0666\n[level]\nfiles = 1x4M\n", head: "interval = 3600\n")
    try served.start(command: [HoldfastProgram.path])
    try served.until("listens") { served.ready.count == 1 && access(path, F_OK) == 0 }
    let reservoir = try Reservoir(mount: served.place.path)
    let owner = try median(reservoir, user: 0) { try reservoir.lease($0) }
    let client = ReservoirClient(socket: path)
    let member = try median(reservoir, user: 65534) { request in
      try #require(try ThreadUser.with(65534) { try client.lease(request) })
    }
    print("LeaseLatency: owner \(owner) us, socket \(member) us")
    #expect(owner > 0 && member > 0)
  }
}
