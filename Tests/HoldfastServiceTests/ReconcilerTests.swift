import Foundation
import HoldfastCore
import HoldfastReservoir
import HoldfastTestKit
import Logging
import Synchronization
import Testing

@testable import HoldfastService

/// The service's work in this process, on a reservoir on tmpfs.
struct ReconcilerTests {
  private let size = ByteCount.mebibytes(4)

  /// A reservoir with a reconciler that runs on a thread; both end with the object.
  private final class World {
    let path = "/dev/shm/holdfast-test-\(UUID())"
    let reservoir: Reservoir
    let reconciler: Reconciler
    private let ended = DispatchSemaphore(value: 0)
    private var isRunning = false

    init(_ text: String, collectionTime: Duration = .seconds(10)) throws {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
      try #require(chmod(path, 0o755) == 0)
      reservoir = try Reservoir.create(mount: path)
      var logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
      logger.logLevel = .critical
      reconciler = Reconciler(
        reservoir, Locked(ServiceMetrics()),
        try ServiceConfiguration("[reservoir]\ninterval = 0.1\n" + text, file: "x"),
        notifications: NotificationSocket(), wakeup: try Wakeup(), logger: logger,
        collectionTime: collectionTime)
    }

    func start() {
      isRunning = true
      let (reconciler, ended) = (reconciler, ended)
      Thread.detachNewThread {
        reconciler.run()
        ended.signal()
      }
    }

    /// Whether the work ends by itself.
    func ends() -> Bool {
      defer { isRunning = false }
      return ended.wait(timeout: .now() + 60) == .success
    }

    deinit {
      reconciler.stop()
      if isRunning { ended.wait() }
      try? FileManager.default.removeItem(atPath: path)
    }

    var ready: Int { (try? reservoir.status().rows.reduce(0) { $0 + $1.ready }) ?? 0 }
  }

  @Test func endsWhereThePathLeadsElsewhere() throws {
    let world = try World("[level]\nfiles = 1x4M\n")
    world.start()
    try #require(eventually { world.ready == 1 })
    #expect(world.reconciler.end.with { $0 } == nil)
    try FileManager.default.removeItem(atPath: world.path + "/holdfast")
    try #require(world.ends())
    let error = try #require(world.reconciler.end.with { $0 })
    #expect(error.code == .noReservoir && error.reason.contains("is gone"))
  }

  /// A process that has stopped in a fill keeps the lock for ever.
  @Test func fillsThatWaitTooLong() throws {
    let world = try World("[level]\nfiles = 1x4M\n")
    let lock = open(world.path + "/holdfast/filling", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    try #require(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0)
    world.start()
    let reconciler = world.reconciler
    try #require(eventually { reconciler.waitingSince.load(ordering: .relaxed) != 0 })
    #expect(reconciler.problem == nil)
    // As if it had begun eleven minutes ago; a machine that has just booted is too young for that.
    let now = Clock.monotonic
    if now > 660_000_000_000 {
      reconciler.waitingSince.store(now - 660_000_000_000, ordering: .relaxed)
      #expect(reconciler.problem?.contains("have waited 660 s for a fill") == true)
    }
    close(lock)
    try #require(eventually { world.ready == 1 && reconciler.problem == nil })
    #expect(reconciler.waitingSince.load(ordering: .relaxed) == 0)
  }

  @Test func aClockThatIsSet() throws {
    let world = try World("[level]\nfiles = 1x4M\n[collect]\nolder-than = 7d\n")
    let configuration = world.reconciler.configuration
    let week = Duration.seconds(7 * 86400)
    let now = Clock.offset
    // The age from which leases are collected of which only the wall clock says when they were made.
    func age(_ offset: Double) throws -> Duration {
      let options = world.reconciler.collectOptions(configuration, offset: offset)
      #expect(options.age == week)
      return week + options.clockAdvance
    }
    #expect(try age(now) == week)
    #expect(try age(now - 1e9) == week)
    // The clock was set a year forward: a lease has to be a year older.
    let forward = try age(now + 365 * 86400) - week
    #expect(abs(forward / .seconds(1) - 365 * 86400) < 60)
    #expect(try age(.infinity) > week)
  }

  /// Fills go on while a collection does not come to its end.
  @Test func collectionsInParts() throws {
    let text = "[level]\nfiles = 3x4M\n[collect]\ninterval = 0.1\n"
    let world = try World(text, collectionTime: .zero)
    _ = try world.reservoir.fill(FillPlan([.init(count: 1, size: size)]))
    var request = LeaseRequest(size: size, name: try LeaseName("orphan"))
    request.isHeld = true
    do { _ = try world.reservoir.lease(request) }
    world.start()
    try #require(eventually { world.ready == 3 })
    #expect(world.reconciler.problem == nil)
    // A collection without any time collects nothing, and is due again in each round.
    #expect(world.reconciler.lastCollection.load(ordering: .relaxed) == 0)
    #expect(try world.reservoir.status().leases.count == 1)
  }
}
