import Foundation
import HoldfastCore
import HoldfastReservoir
import HoldfastTestKit
import Logging
import Testing

@testable import HoldfastService

/// Random and altered messages to the service's socket, some with descriptors, from several users
/// at once, while the service fills and collects. Afterwards no descriptor is open that was not
/// before, no lease exists that its user cannot know of, and all memory is accounted for.
///
/// HOLDFAST_SECONDS sets the time, HOLDFAST_FUZZ_SEED the seed.
@Suite(.enabled(if: HostNeeds.isRoot, "needs root, to lease for other users"))
struct SocketFuzzTests {}

extension SocketFuzzTests {
  private static func number(_ variable: String) -> UInt64? {
    ProcessInfo.processInfo.environment[variable].flatMap { UInt64($0) }
  }

  private static let seconds = number("HOLDFAST_SECONDS") ?? 2
  private static let seed = number("HOLDFAST_FUZZ_SEED") ?? .random(in: 1...1 << 32)
  private static let users: [UInt32] = [0, 1, 2, 65533, 65534]

  /// A service in this process, on a tmpfs of its own.
  private final class World {
    let path = "/tmp/holdfast-test-\(UUID())"
    let reservoir: Reservoir
    private let reconciler: Reconciler
    private let listener: LeaseListener
    private let ended = DispatchSemaphore(value: 0)
    private var isRunning = true

    var socket: String { path + "/socket" }

    init() throws {
      try #require(mkdir(path, 0o755) == 0)
      try #require(mount("holdfast-test", path, "tmpfs", 0, "size=96M,mode=0755") == 0)
      reservoir = try Reservoir.create(mount: path, group: 65534)
      var logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
      logger.logLevel = .critical
      let text = """
        [reservoir]
        interval = 0.1
        [level]
        files = 40x1M
        [collect]
        interval = 0.1
        [socket]
        path = \(path)/socket
        mode = 0666
        [limits]
        files = 6
        requests = 2
        """
      reconciler = Reconciler(
        reservoir, Locked(ServiceMetrics()), try ServiceConfiguration(text, file: "x"),
        notifications: NotificationSocket(), wakeup: try Wakeup(), logger: logger)
      listener = try LeaseListener(reconciler)
      for body in [reconciler.run, listener.run] {
        let ended = ended
        Thread.detachNewThread {
          body()
          ended.signal()
        }
      }
    }

    /// Ends the service, and waits until it has.
    func stop() {
      guard isRunning else { return }
      isRunning = false
      listener.stop()
      reconciler.stop()
      for _ in 0..<2 { ended.wait() }
    }

    deinit {
      stop()
      umount2(path, Int32(MNT_DETACH))
      rmdir(path)
    }

    var used: Int {
      var status = statvfs()
      guard statvfs(path, &status) == 0 else { return -1 }
      return Int(status.f_frsize) * Int(status.f_blocks - status.f_bfree)
    }

    /// This process's descriptors of files on the mount and of connections to the socket. Other
    /// tests of the process open and close others.
    var descriptors: [String] {
      let sockets = (try? String(contentsOfFile: "/proc/net/unix", encoding: .utf8)) ?? ""
      let own = Set(
        sockets.split(separator: "\n").filter { $0.hasSuffix(socket) }.map {
          "socket:[\($0.split(separator: " ")[6])]"
        })
      let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
      return all.compactMap {
        try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + $0)
      }.filter { $0.hasPrefix(path) || own.contains($0) }.sorted()
    }

    var allDescriptors: Int {
      ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []).count
    }

    func names(_ user: UInt32) -> Set<String> {
      let folder = path + "/holdfast/leased/\(user)"
      return Set((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
    }
  }

  @Test func messages() throws {
    let world = try World()
    let isReady = eventually {
      access(world.socket, F_OK) == 0 && (try? world.reservoir.status().rows.first?.ready) == 40
    }
    try #require(isReady)
    let file = open(world.path + "/attached", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    let pipe = Pipe()
    let files = [file, pipe.fileHandleForWriting.fileDescriptor]
    let before = (own: world.descriptors, all: world.allDescriptors)

    let clients = Self.users.map {
      FuzzClient($0, world.socket, files: files, seed: Self.seed)
    }
    let shared = Shared(clients)
    let isDone = runThreads(clients.count, seconds: 120 + Int(Self.seconds)) {
      shared.clients[$0].run(for: .seconds(Int64(Self.seconds)))
    }
    try #require(isDone, "seed \(Self.seed)")
    for client in clients {
      for problem in client.problems {
        Issue.record("seed \(Self.seed), user \(client.user): \(problem)")
      }
    }
    let isClosed = eventually(within: .seconds(30)) { world.descriptors == before.own }
    #expect(isClosed, "seed \(Self.seed): \(world.descriptors)")
    let after = world.allDescriptors
    world.stop()
    try account(world, clients)
    close(file)
    withExtendedLifetime(pipe) {}

    let counts = clients.reduce(into: [String: Int]()) { $0.merge($1.counts, uniquingKeysWith: +) }
    let kinds = ["lease", "release", "status", "altered", "nonsense", "vanishing"]
    let sum = kinds.reduce(0) { $0 + (counts[$1] ?? 0) }
    print(
      "socket fuzz: \(sum) messages in \(Self.seconds) s of seed \(Self.seed), descriptors "
        + "\(before.all) before and \(after) after: \(counts.sorted { $0.key < $1.key })")
    #expect(sum > 0 && counts["answer lease"] ?? 0 > 0)
  }

  private final class Shared: @unchecked Sendable {
    /// Each is used by one thread.
    let clients: [FuzzClient]
    init(_ clients: [FuzzClient]) { self.clients = clients }
  }

  /// Compares the leases with those that the clients know of, ends them, and counts the memory.
  private func account(_ world: World, _ clients: [FuzzClient]) throws {
    let reservoir = world.reservoir
    let report = try reservoir.collect()
    #expect(report.foreign == [] && report.quarantined == [] && report.failed == [])
    #expect(report.live == 0 && report.inUse == 0)
    for client in clients {
      let names = world.names(client.user)
      #expect(client.told.isSubset(of: names), "lost: \(client.told.subtracting(names))")
      let unknown = names.subtracting(client.told).subtracting(client.unsure)
      #expect(unknown == [], "seed \(Self.seed): user \(client.user)")
      for name in names {
        _ = try reservoir.release(LeaseName(name), user: client.user)
      }
    }
    let status = try reservoir.status()
    #expect(status.leases.isEmpty && status.foreign.isEmpty)
    for row in status.rows { #expect(row.size == .mebibytes(1) && row.filling == 0) }
    let folder = world.path + "/holdfast/ready"
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
      let contents = try Data(contentsOf: URL(filePath: folder + "/" + name))
      #expect(contents.allSatisfy { $0 == 0 }, "\(name)")
    }
    _ = try reservoir.drain()
    let isEmpty = eventually(within: .seconds(30)) { world.used == 0 }
    #expect(isEmpty, "\(world.used)")
  }
}
