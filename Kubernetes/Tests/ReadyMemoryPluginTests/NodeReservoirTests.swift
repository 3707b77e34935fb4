import DevicePluginWire
import Foundation
import HoldfastCore
import HoldfastReservoir
import PlainHTTP
import Testing

@testable import ReadyMemoryPlugin

struct NodeReservoirTests {
  private var reservoir = NodeReservoir(
    ReservoirLink(socket: "/nowhere/socket", user: nil, metrics: nil), grace: .seconds(60))
  private var log = PluginLog()

  /// A status with rows of size, ready, leased and filling files, and that many leases of 2 MiB,
  /// whose files have another size where that is given.
  private func status(
    _ rows: [(size: UInt64, ready: Int, leased: Int, filling: Int)], leases: Int = 0,
    leasedSize: UInt64 = 2 << 20
  ) throws -> ReservoirStatus {
    let rows = rows.map {
      """
      {"sizeBytes": \($0.size), "ready": \($0.ready), "leased": \($0.leased), \
      "filling": \($0.filling)}
      """
    }
    let leases = (0..<leases).map {
      """
      {"name": "kube_ready-2m-2mi_any-\($0)_1", "user": 1, "sizeBytes": \(leasedSize), \
      "path": "/x", "isHeld": false, "seconds": 1}
      """
    }
    let text = """
      {"path": "/x", "isHugetlb": true, "owner": 0, "isComplete": false, "pageBytes": 2097152,
       "foreign": [], "rows": [\(rows.joined(separator: ","))],
       "leases": [\(leases.joined(separator: ","))]}
      """
    return try JSONDecoder().decode(ReservoirStatus.self, from: Data(text.utf8))
  }

  private mutating func note(
    _ status: ReservoirStatus, _ metrics: Result<ServiceMetrics, HTTPTextClient.Failure>? = nil
  ) {
    reservoir.note(
      .init(status: .success(status), metrics: metrics), pause: .seconds(5), &log)
  }

  @Test mutating func `a file that is being filled is no resource yet`() throws {
    note(try status([(0, 0, 0, 1), (4 << 20, 0, 0, 1)]))
    #expect(reservoir.resources.isEmpty)
    note(try status([(4 << 20, 1, 0, 1)], leases: 1))
    #expect(reservoir.resources.map(\.name).sorted() == ["ready-2m-2mi", "ready-2m-4mi"])
    // A resource stays, also without files.
    note(try status([]))
    #expect(reservoir.resources.count == 2)
  }

  @Test mutating func `what is held counts all states, and what other users have leased`() throws {
    let text = """
      # TYPE holdfast_reservoir_up gauge
      holdfast_reservoir_up 1
      # TYPE holdfast_reservoir_bytes gauge
      holdfast_reservoir_bytes{state="leased",size_bytes="2097152",node="any"} 10485760
      # TYPE holdfast_reservoir_level_files gauge
      holdfast_reservoir_level_files{size_bytes="2097152",node="any"} 7
      """
    let metrics = try #require(ServiceMetrics(text))
    let status = try status([(2 << 20, 3, 2, 1)], leases: 2)
    note(status)
    var balance = MemoryBalance(pageSize: 2 << 20, limit: nil)
    reservoir.add(to: &balance)
    #expect(balance.held == 12 << 20)
    #expect(balance.levels == nil)
    note(status, .success(metrics))
    balance = MemoryBalance(pageSize: 2 << 20, limit: nil)
    reservoir.add(to: &balance)
    // Five are leased, two of them by the plugin.
    #expect((balance.ready, balance.leased, balance.filling) == (6 << 20, 10 << 20, 2 << 20))
    #expect(balance.levels == 14 << 20)
    note(status, .failure(.init(description: "no answer")))
    balance = MemoryBalance(pageSize: 2 << 20, limit: nil)
    reservoir.add(to: &balance)
    #expect(balance.levels == nil)
    // What others have leased is not known any more.
    #expect((balance.held, balance.leased) == (12 << 20, 4 << 20))
  }

  @Test(arguments: [1 << 50, 0, 6 << 20] as [UInt64])
  mutating func `a size that a pod gives its file makes no resource and no difference`(
    size: UInt64
  ) throws {
    let text = """
      # TYPE holdfast_reservoir_up gauge
      holdfast_reservoir_up 1
      # TYPE holdfast_reservoir_bytes gauge
      holdfast_reservoir_bytes{state="leased",size_bytes="\(size)",node="any"} \(size + 4_194_304)
      """
    let metrics = try #require(ServiceMetrics(text))
    note(
      try status([(2 << 20, 3, 0, 0), (size, 0, 1, 0)], leases: 1, leasedSize: size),
      .success(metrics))
    #expect(reservoir.resources.map(\.name) == ["ready-2m-2mi"])
    var balance = MemoryBalance(pageSize: 2 << 20, limit: 12 << 20)
    reservoir.add(to: &balance)
    // Another user has leased 4 MiB.
    #expect((balance.ready, balance.leased) == (6 << 20, 6 << 20))
    #expect(balance.differences.isEmpty)
  }

  @Test mutating func `a lease of another page size makes no resource`() throws {
    var status = try status([], leases: 1)
    status.leases[0].name = "kube_ready-4k-2mi_any-0_1"
    note(status)
    #expect(reservoir.resources.isEmpty)
  }

  @Test(arguments: [(256, 256, 4352), (256, 300, 0), (255, 255, 4353), (1000, 1000, 3608)])
  mutating func `a service that names only 256 leases limits the devices`(
    named: Int, counted: Int, more: Int
  ) throws {
    note(try status([(2 << 20, 4608 - named, counted, 0)], leases: named))
    let devices = reservoir.devices(
      of: Resource(pageSize: 2 << 20, size: 2 << 20), failure: nil)
    #expect(devices.count == named + more)
    #expect(Set(devices.map(\.id)).count == devices.count)
  }

  @Test mutating func `without an answer free devices are unhealthy`() throws {
    note(try status([(2 << 20, 3, 1, 0)], leases: 1))
    let resource = Resource(pageSize: 2 << 20, size: 2 << 20)
    #expect(reservoir.devices(of: resource, failure: nil).count { $0.isHealthy } == 4)
    let error = HoldfastError(.busy, operation: "x", reason: "y")
    reservoir.note(.init(status: .failure(error), metrics: nil), pause: .seconds(5), &log)
    let devices = reservoir.devices(of: resource, failure: nil)
    #expect(devices.filter(\.isHealthy).map(\.id) == ["any-0"] && devices.count == 4)
  }
}
