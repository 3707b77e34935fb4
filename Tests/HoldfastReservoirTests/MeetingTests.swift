import Foundation
import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastReservoir

/// Commands that meet at one lease: names are moved and taken away only with the file's lock.
@Suite struct ReservoirMeetingTests {
  private let size = ByteCount.mebibytes(4)

  private func name(_ text: String) throws -> LeaseName { try LeaseName(text) }

  /// Recycles `vm` and waits for its monitor's end, however often the other has the lock to look at it.
  private func recycle(_ reservoir: Reservoir) -> HoldfastError.Code? {
    let end = ContinuousClock.now + .seconds(4)
    while true {
      let result = code {
        var options = RecycleOptions()
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

  @Test func releaseWhileItIsBeingRecycled() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size, size, size)
    let path = try reservoir.lease(size, "vm").receipt.path
    let monitor = Box(try Mapping(path))
    monitor.value?.dirty()
    let other = Box<Mapping>(nil)
    let error = both {
      #expect(recycle(reservoir) == .noLease)
    } and: {
      // Until the other has its lock and waits for the monitor's end.
      try waitUntilLocked(path)
      _ = try reservoir.release(name("vm"))
      other.value = try Mapping(reservoir.lease(size, "vm").receipt.path)
      other.value?.dirty()
      monitor.value = nil
    }
    #expect(error == nil)
    // The second guest has its memory still, and nobody else.
    #expect(try reservoir.counts() == ["4M 1 1 0"] && other.value?.isZero == false)
    #expect(try !Mapping(path).isZero)
    for name in place.names("ready") { #expect(try Mapping(place.file("ready/" + name)).isZero) }
  }

  @Test func whatIsLockedStays() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    let path = try reservoir.lease(size, "vm").receipt.path
    let file = open(path, O_RDONLY | O_CLOEXEC)
    #expect(flock(file, LOCK_EX) == 0)
    #expect(code { _ = try reservoir.recycle(name("vm")) } == .busy)
    #expect(try reservoir.collect(CollectOptions(age: .zero)).live == 1)
    // Who gives the memory away need not ask who has locked it.
    let end = try reservoir.recycle(name("vm"), otherwise: .unlink)
    #expect(end == .unlinked(size, reason: nil))
    close(file)
  }

  /// A user who keeps his folder's lock does not keep others from their work.
  @Test func aFolderThatIsLocked() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    let path = try reservoir.lease(size, "vm").receipt.path
    let folder = open(place.file("leased/\(geteuid())"), O_RDONLY | O_CLOEXEC)
    #expect(flock(folder, LOCK_EX) == 0)
    #expect(code { _ = try reservoir.recycle(name("vm")) } == .busy)
    #expect(code { _ = try reservoir.release(name("vm")) } != nil)
    #expect(try reservoir.collect(CollectOptions(age: .zero)).inUse == 1)
    #expect(try reservoir.counts() == ["4M 0 1 0"] && Mapping(path).length == 4 << 20)
    close(folder)
    #expect(try reservoir.recycle(name("vm")) == .recycled(size))
  }

  /// Its age is when it was last renamed or changed, so looking at it changes nothing.
  @Test func whatIsInUseKeepsItsAge() throws {
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
    #expect(try reservoir.collect(CollectOptions(age: .zero)).inUse == 1)
    #expect(changed().tv_nsec == before.tv_nsec && changed().tv_sec == before.tv_sec)
    withExtendedLifetime(mapping) {}
  }

  /// As by hand: the file that was locked is not the one that is moved.
  @Test func anotherFileInItsPlace() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size, size)
    let first = try reservoir.lease(size, "vm").receipt.path
    let second = try reservoir.lease(size, "other").receipt.path
    let monitor = Box(try Mapping(first))
    let mark = try Mapping(second)
    mark.dirty()
    let error = both {
      // In use is the other one, where it was there before the first was looked at.
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

  /// All commands at the same two names. What is ready is zero and leased by one, and nothing is lost.
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
            // The lease's own file, whatever has become of its name.
            let mapping = try Mapping("/proc/self/fd/\(lease.descriptor)")
            #expect(mapping.isZero, "a former guest's memory, seed \(seed)")
            mapping.dirty()
            withExtendedLifetime(lease) {}
          case 3: _ = try reservoir.release(name)
          case 4:
            var options = RecycleOptions()
            options.timeout = .milliseconds(Int64.random(in: 0..<4, using: &random))
            _ = try reservoir.recycle(name, options: options)
          default:
            var options = CollectOptions(age: .zero)
            options.recycling.timeout = .milliseconds(1)
            _ = try reservoir.collect(options)
          }
        } catch let error as HoldfastError {
          switch error.code {
          case .noReadyMemory: _ = try reservoir.fill(FillPlan([.init(count: 3, size: size)]))
          case .alreadyExists, .noLease, .busy: break
          // Scrubbing met somebody who came and went.
          case .host where error.reason.contains("given back to the host"): break
          default: throw error
          }
        }
      }
    }
    for error in errors { #expect(error == nil, "seed \(seed)") }
    #expect(try reservoir.collect().foreign.isEmpty && place.names("filling").isEmpty)
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

/// Members of the group who remember a file while it was theirs to lease (O_PATH).
@Suite(.enabled(if: HostNeeds.isRoot, "needs root, to have a group's reservoir"))
struct MemberTests {
  private let size = ByteCount.mebibytes(8)

  /// What the permissions of a file allow its group is all that keeps such a member from it.
  @Test func whatIsBeingScrubbedIsTheOwnersAlone() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size, group: 65534)
    let ready = place.file("ready/" + place.names("ready")[0])
    let file = open(ready, O_CLOEXEC | 0o10000000)  // O_PATH
    defer { close(file) }
    @Sendable func permissions() -> mode_t {
      var status = stat()
      return fstat(file, &status) == 0 ? status.st_mode & 0o777 : 0
    }
    #expect(permissions() == 0o660)
    let path = try reservoir.lease(size, "vm").receipt.path
    // As a member's lease, which has the group's permissions.
    #expect(chmod(path, 0o660) == 0)
    try Mapping(path).dirty()
    let seen = Seen()
    let end = try reservoir.recycle(name("vm")) { done, _ in
      if done < size { seen.add(permissions()) }
    }
    #expect(end == .recycled(size) && permissions() == 0o660)
    #expect(seen.all == [0o600])

    // One who keeps it in use gets it back as it was.
    let again = try reservoir.lease(size, "vm").receipt.path
    #expect(chmod(again, 0o660) == 0)
    let mapping = try Mapping(again)
    var options = RecycleOptions()
    options.timeout = .zero
    #expect(code { _ = try reservoir.recycle(name("vm"), options: options) } == .busy)
    #expect(permissions() == 0o660)
    withExtendedLifetime(mapping) {}
  }

  /// Who opens it in the middle of the scrub, as the owner's commands do to look at the lock, has it
  /// scrubbed again.
  @Test func whoComesInMeanwhileChangesNothing() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    let path = try reservoir.lease(size, "vm").receipt.path
    try Mapping(path).dirty()
    let came = Seen()
    let end = try reservoir.recycle(name("vm")) { _, _ in
      guard came.all.isEmpty, let id = place.names("filling").first else { return }
      came.add(1)
      // Waits for the proof's end, writes and goes.
      Thread {
        let file = open(place.file("filling/" + id), O_RDWR | O_CLOEXEC)
        guard file >= 0 else { return }
        _ = pwrite(file, "guest", 5, 1 << 20)
        close(file)
      }.start()
      usleep(20_000)
    }
    #expect(end == .recycled(size))
    usleep(50_000)
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
