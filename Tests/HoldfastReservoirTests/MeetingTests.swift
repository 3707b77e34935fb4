import Foundation
import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastReservoir

/// Concurrent commands on one lease: names are moved and removed only with the file's lock.
struct ReservoirMeetingTests {
  private let size = ByteCount.mebibytes(4)

  private func name(_ text: String) throws -> LeaseName { try LeaseName(text) }

  /// Recycles `vm` and waits for its monitor's end, however often the other thread has the lock to
  /// test it.
  private func recycle(_ reservoir: Reservoir) -> HoldfastError.Code? {
    let end = ContinuousClock.now + .seconds(4)
    while true {
      let result = code {
        var options = RecycleOptions(reuse: .scrub)
        options.timeout = .seconds(4)
        _ = try reservoir.recycle(name("vm"), options: options)
      }
      if result != .busy || ContinuousClock.now > end { return result }
    }
  }

  /// Waits until a command has a file's lock.
  private func waitUntilLocked(_ path: String) throws {
    let end = ContinuousClock.now + .seconds(20)
    while true {
      let file = open(path, O_RDONLY | O_CLOEXEC)
      defer { close(file) }
      if flock(file, LOCK_EX | LOCK_NB) != 0 { return }
      try #require(ContinuousClock.now < end)
    }
  }

  /// A file that is leased after its folder was read, and before that of the leases is, counts once.
  @Test func leasesDuringStatus() throws {
    let count = 400
    let place = try Place()
    let reservoir = try place.reservoir()
    let small = ByteCount.kibibytes(64)
    _ = try reservoir.fill(Array(repeating: small, count: count))
    let end = ContinuousClock.now + .seconds(20)
    let error = both {
      for number in 0..<count { _ = try reservoir.lease(small, "vm\(number)") }
    } and: {
      var leased = 0
      while leased < count {
        try #require(ContinuousClock.now < end)
        let row = try #require(try reservoir.status().rows.first { $0.size == small })
        leased = row.leased
        #expect(row.ready + leased <= count)
      }
    }
    #expect(error == nil)
    #expect(try reservoir.counts() == ["64K 0 \(count) 0"])
  }

  @Test func releaseDuringRecycling() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size, size, size)
    let path = try reservoir.lease(size, "vm").receipt.path
    let monitor = Box(try Mapping(path))
    monitor.value?.dirty()
    let other = Box<Mapping>(nil)
    let error = both {
      #expect(recycle(reservoir) == .noLease)
    } and: {
      // Until the other thread has its lock and waits for the monitor's end.
      try waitUntilLocked(path)
      _ = try reservoir.release(name("vm"))
      other.value = try Mapping(reservoir.lease(size, "vm").receipt.path)
      other.value?.dirty()
      monitor.value = nil
    }
    #expect(error == nil)
    // Only the second guest has its memory.
    #expect(try reservoir.counts() == ["4M 1 1 0"] && other.value?.isZero == false)
    #expect(try !Mapping(path).isZero)
    for name in place.names("ready") { #expect(try Mapping(place.file("ready/" + name)).isZero) }
  }

  @Test func lockedLeasesStay() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    let path = try reservoir.lease(size, "vm").receipt.path
    let file = open(path, O_RDONLY | O_CLOEXEC)
    #expect(flock(file, LOCK_EX) == 0)
    #expect(
      code { _ = try reservoir.recycle(name("vm"), options: RecycleOptions(reuse: .scrub)) }
        == .busy)
    #expect(try reservoir.collect(CollectOptions(age: .zero, reuse: .scrub)).live == 1)
    // A release does not need the lock.
    let end = try reservoir.recycle(
      name("vm"), otherwise: .release, options: RecycleOptions(reuse: .scrub))
    #expect(end == .released(size, reason: nil))
    close(file)
  }

  /// A user who keeps the folder's lock does not block other commands.
  @Test func aLockedFolder() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    let path = try reservoir.lease(size, "vm").receipt.path
    let folder = open(place.file("leased/\(geteuid())"), O_RDONLY | O_CLOEXEC)
    #expect(flock(folder, LOCK_EX) == 0)
    #expect(
      code { _ = try reservoir.recycle(name("vm"), options: RecycleOptions(reuse: .scrub)) }
        == .busy)
    #expect(code { _ = try reservoir.release(name("vm")) } != nil)
    #expect(try reservoir.collect(CollectOptions(age: .zero, reuse: .scrub)).inUse == 1)
    #expect(try reservoir.counts() == ["4M 0 1 0"] && Mapping(path).length == 4 << 20)
    close(folder)
    #expect(
      try reservoir.recycle(name("vm"), options: RecycleOptions(reuse: .scrub)) == .recycled(size))
  }

  /// The age counts from the last rename or change, so a test for use must not change the file.
  @Test func leasesInUseKeepTheirAge() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    let path = try reservoir.lease(size, "vm").receipt.path
    let mapping = try Mapping(path)
    func changed() -> timespec {
      var status = stat()
      return stat(path, &status) == 0 ? status.st_ctim : timespec()
    }
    let before = changed()
    usleep(20_000)
    #expect(try reservoir.collect(CollectOptions(age: .zero, reuse: .scrub)).inUse == 1)
    #expect(changed().tv_nsec == before.tv_nsec && changed().tv_sec == before.tv_sec)
    withExtendedLifetime(mapping) {}
  }

  /// Another file takes the name while the first one is locked.
  @Test func aFileThatIsReplaced() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size, size)
    let first = try reservoir.lease(size, "vm").receipt.path
    let second = try reservoir.lease(size, "other").receipt.path
    let monitor = Box(try Mapping(first))
    let mark = try Mapping(second)
    mark.dirty()
    let error = both {
      // The other file is in use, where it took the name before the first one was tested.
      let result = recycle(reservoir)
      #expect(result == .noLease || result == .busy)
    } and: {
      try waitUntilLocked(first)
      #expect(rename(second, first) == 0)
      monitor.value = nil
    }
    #expect(error == nil)
    #expect(place.names("leased/\(geteuid())") == ["vm"] && place.names("filling").isEmpty)
    #expect(place.names("ready").isEmpty)
    #expect(try !Mapping(first).isZero)
    withExtendedLifetime(mark) {}
  }

  /// All commands on the same two names. Ready files are zero, one process leases each, and none is
  /// lost.
  @Test(arguments: [1, 2, 3, 4])
  func manyAtOnce(_ seed: UInt64) throws {
    let place = try Place()
    let reservoir = try place.reservoir(size, size, size)
    let rounds = 150
    let threads = 4
    let errors = inParallel(threads) { thread in
      var random = SeededGenerator(seed: seed * 100 + UInt64(thread))
      let reservoir = try Reservoir(mount: place.path)
      for _ in 0..<rounds {
        let name = try LeaseName(["a", "b"].randomElement(using: &random) ?? "a")
        do {
          switch Int.random(in: 0..<6, using: &random) {
          case 0...2:
            let lease = try reservoir.lease(size, name.text)
            // The lease's own file, whatever its name is by now.
            let mapping = try Mapping("/proc/self/fd/\(lease.descriptor)")
            #expect(mapping.isZero, "a former guest's memory, seed \(seed)")
            mapping.dirty()
            withExtendedLifetime(lease) {}
          case 3: _ = try reservoir.release(name)
          case 4:
            var options = RecycleOptions(reuse: .scrub)
            options.timeout = .milliseconds(Int64.random(in: 0..<4, using: &random))
            _ = try reservoir.recycle(name, options: options)
          default:
            var options = CollectOptions(age: .zero, reuse: .scrub)
            options.recycling.timeout = .milliseconds(1)
            _ = try reservoir.collect(options)
          }
        } catch let error as HoldfastError {
          switch error.code {
          case .noReadyMemory: _ = try reservoir.fill(FillPlan([.init(count: 3, size: size)]))
          case .alreadyExists, .noLease, .busy: break
          // Other threads opened the file during the scrub.
          case .host where error.reason.contains("returned to the host"): break
          default: throw error
          }
        }
      }
    }
    for error in errors { #expect(error == nil, "seed \(seed)") }
    #expect(
      try reservoir.collect(CollectOptions(reuse: .scrub)).foreign.isEmpty
        && place.names("filling").isEmpty)
    for name in place.names("ready") {
      #expect(try Mapping(place.file("ready/" + name)).isZero, "seed \(seed)")
    }
  }

  private final class Box<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private var held: Value?
    init(_ value: Value?) { held = value }
    var value: Value? {
      get { lock.withLock { held } }
      set { lock.withLock { held = newValue } }
    }
  }
}

/// Processes that have kept a descriptor of a file since it was ready (O_PATH).
@Suite(.enabled(if: HostNeeds.isRoot, "needs root, to create a reservoir for a group"))
struct MemberTests {
  private let size = ByteCount.mebibytes(8)
}

extension MemberTests {
  /// Only the permissions of the file keep such a member from opening it.
  @Test func onlyTheOwnerMayOpenAFileThatIsScrubbed() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    let ready = place.file("ready/" + place.names("ready")[0])
    let file = open(ready, O_CLOEXEC | 0o10000000)  // O_PATH
    defer { close(file) }
    @Sendable func permissions() -> mode_t {
      var status = stat()
      return fstat(file, &status) == 0 ? status.st_mode & 0o777 : 0
    }
    #expect(permissions() == 0o600)
    let path = try reservoir.lease(size, "vm").receipt.path
    // Its monitor opens it to others.
    #expect(chmod(path, 0o660) == 0)
    try Mapping(path).dirty()
    let seen = Seen()
    let end = try reservoir.recycle(name("vm"), options: RecycleOptions(reuse: .scrub)) { done, _ in
      if done < size { seen.add(permissions()) }
    }
    #expect(end == .recycled(size) && permissions() == 0o600)
    #expect(seen.all == [0o600])

    // A lease that is in use keeps its permissions.
    let again = try reservoir.lease(size, "vm").receipt.path
    #expect(chmod(again, 0o660) == 0)
    let mapping = try Mapping(again)
    var options = RecycleOptions(reuse: .scrub)
    options.timeout = .zero
    #expect(code { _ = try reservoir.recycle(name("vm"), options: options) } == .busy)
    #expect(permissions() == 0o660)
    withExtendedLifetime(mapping) {}
  }

  /// A file that a process opens during the scrub, as the owner's commands do to test the lock, is
  /// scrubbed again.
  @Test func aFileThatIsOpenedDuringTheScrubIsScrubbedAgain() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    let path = try reservoir.lease(size, "vm").receipt.path
    try Mapping(path).dirty()
    let came = Seen()
    let left = Seen()
    let end = try reservoir.recycle(name("vm"), options: RecycleOptions(reuse: .scrub)) { _, _ in
      guard came.all.isEmpty, let id = place.names("filling").first else { return }
      came.add(1)
      // Waits for the end of the proof, writes and closes the file.
      Thread {
        defer { left.add(1) }
        let file = open(place.file("filling/" + id), O_RDWR | O_CLOEXEC)
        guard file >= 0 else { return }
        _ = pwrite(file, "guest", 5, 1 << 20)
        close(file)
      }.start()
      usleep(20_000)
    }
    #expect(end == .recycled(size))
    #expect(eventually { !left.all.isEmpty })
    #expect(try Mapping(place.file("ready/" + place.names("ready")[0])).isZero)
  }

  private func name(_ text: String) throws -> LeaseName { try LeaseName(text) }

  private final class Seen: @unchecked Sendable {
    private let lock = NSLock()
    private var modes: Set<mode_t> = []
    var all: Set<mode_t> { lock.withLock { modes } }
    func add(_ mode: mode_t) { lock.withLock { _ = modes.insert(mode) } }
  }
}
