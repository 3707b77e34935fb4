import Foundation
import Glibc
import HoldfastCore
import HoldfastLinux
import Synchronization
import Testing

@testable import HoldfastReservoir

/// More leases than an answer names: a status comes in pages.
struct StatusPagesTests {
  /// A reservoir with that many leases of a user, and one of another's.
  private func status(_ count: Int) -> ReservoirStatus {
    var status = ReservoirStatus(
      path: "/dev/hugepages/holdfast", pageSize: .mebibytes(2), isHugetlb: true, owner: 0,
      isComplete: true)
    let size = ByteCount.gibibytes(2)
    status.rows = [.init(size: size, node: NodeID(0), ready: 3, leased: count + 1)]
    func lease(_ name: String, _ user: UInt32) -> ReservoirStatus.LeaseEntry {
      .init(
        name: name, user: user, size: size, node: NodeID(0), path: "", isHeld: false, seconds: 7)
    }
    // Not in the order of their names, as a folder lists them.
    status.leases = (0..<count).reversed().map {
      lease("kube_ready-2m-2gi_n0-\($0)_8171520044", geteuid())
    }
    status.leases.append(lease("other", geteuid() + 1))
    return status
  }

  private func command(_ after: String?) throws -> LeaseCommand {
    try LeaseCommand(packet: LeaseCommand.status(after: after).packet)
  }

  @Test func `a request names the lease after which the answer begins`() throws {
    for after in [nil, "", "vm1"] {
      guard case .status(let read) = try command(after) else {
        Issue.record("not a status")
        return
      }
      #expect(read == after)
    }
    for bad in ["a b", "../x", String(repeating: "x", count: 129)] {
      #expect(throws: HoldfastError.self) {
        try LeaseCommand(packet: "HOLDFAST=1\nREQUEST=status\nAFTER=\(bad)")
      }
    }
  }

  @Test func `without a page the first 256 are named`() throws {
    for (count, more) in [(256, nil), (257, 1 as UInt64?)] {
      let packet = LeaseAnswer.packet(status(count), of: geteuid())
      let message = try LeaseAnswer.message(packet, "status")
      #expect(try LeaseAnswer.status(message, user: 1).leases.count == 256)
      #expect(message.number("MORE") == more)
    }
  }

  @Test(arguments: [0, 1, 256, 257, 900, 2048, 5000])
  func `the client has all leases, each once`(count: Int) throws {
    let status = status(count)
    let service = try Service { after in
      let packet = LeaseAnswer.packet(status, of: geteuid(), after: after)
      #expect(packet.utf8.count <= PacketSocket.longest)
      return packet
    }
    let read = try service.client.status()
    let own = status.leases.filter { $0.user == geteuid() }
    #expect(read.leases.map(\.name) == own.map(\.name).sorted())
    #expect(read.rows == [.init(size: .gibibytes(2), node: NodeID(0), ready: 3, leased: count)])
    // As many as an answer has room for.
    #expect(service.requests <= 1 + count / 500)
  }

  @Test func `rows of leased files push out no row of ready files`() throws {
    var status = status(1)
    let ready = status.rows
    status.rows =
      (1...300).map { .init(size: .mebibytes($0 * 2), node: nil, ready: 0, leased: 1) }
      + [.init(size: .gibibytes(8), node: nil, ready: 0, leased: 0, filling: 1)] + ready
    let packet = LeaseAnswer.packet(status, of: geteuid())
    let read = try LeaseAnswer.status(try LeaseAnswer.message(packet, "status"), user: 1)
    #expect(read.rows.count == 256)
    #expect(read.rows.prefix(2).map(\.ready) == [3, 0])
    #expect(read.rows.prefix(2).map(\.filling) == [0, 1])
  }

  @Test func `a service without pages names the first ones`() throws {
    let service = try Service { _ in
      LeaseAnswer.packet(status(300), of: geteuid()).replacing("\nMORE=1", with: "")
    }
    #expect(try service.client.status().leases.count == 256)
    #expect(service.requests == 1)
  }

  @Test func `a service that repeats a page is refused`() throws {
    let service = try Service { _ in LeaseAnswer.packet(status(300), of: geteuid()) }
    #expect(throws: HoldfastError.self) { try service.client.status() }
    #expect(service.requests == 2)
  }

  /// A lease that is made between two pages counts as ready in the first one.
  @Test(arguments: [1, 3, 4, 9])
  func `pages with other numbers of files are read again, three times`(changes: Int) throws {
    let before = status(2000)
    var after = before
    after.rows[0].ready -= 1
    after.rows[0].leased += 1
    let reads = Atomic(0)
    let service = try Service { [after] last in
      let isFirst = last?.isEmpty ?? true
      if isFirst { reads.add(1, ordering: .relaxed) }
      let isChange = isFirst && reads.load(ordering: .relaxed) <= changes
      return LeaseAnswer.packet(isChange ? before : after, of: geteuid(), after: last)
    }
    let read = try service.client.status()
    #expect(read.rows[0].ready == (changes < 4 ? 2 : 3))
    #expect(read.leases.count == 2000)
    #expect(reads.load(ordering: .relaxed) == min(changes + 1, 4))
  }

  @Test func `a service that does not answer takes no longer than the timeout`() throws {
    let place = try Place()
    let listener = try PacketListener(
      in: try Folder.open(path: place.path), "socket", owner: geteuid(), group: getegid(),
      permissions: 0o600)
    let client = ReservoirClient(socket: place.path + "/socket", timeout: .milliseconds(300))
    let start = ContinuousClock.now
    do throws(HoldfastError) {
      _ = try client.status()
      Issue.record("an answer")
    } catch {
      #expect(error.code == .busy)
    }
    #expect((.milliseconds(300)..<(.seconds(10))).contains(ContinuousClock.now - start))
    _ = listener
  }

  /// A service of which only the status is there.
  private final class Service: @unchecked Sendable {
    let client: ReservoirClient
    private let place: Place
    private let lock = NSLock()
    private var count = 0

    /// - Parameter answer: makes the answer to a request with that `AFTER`.
    init(_ answer: @escaping @Sendable (String?) -> String) throws {
      place = try Place()
      let listener = try PacketListener(
        in: try Folder.open(path: place.path), "socket", owner: geteuid(), group: getegid(),
        permissions: 0o600)
      client = ReservoirClient(socket: place.path + "/socket", timeout: .seconds(20))
      Thread { [weak self] in
        while let self {
          guard let connection = try? listener.accept() else {
            usleep(100)
            continue
          }
          guard
            case .text(let text, _)? = try? connection.receive(
              timeout: .seconds(5), acceptsFile: false),
            case .status(let after)? = try? LeaseCommand(packet: text)
          else { continue }
          lock.withLock { count += 1 }
          try? connection.send(answer(after))
        }
      }.start()
    }

    var requests: Int { lock.withLock { count } }
  }
}
