import Foundation
import Glibc
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

@testable import HoldfastReservoir

/// Events of operations.
struct EventTests {
  private let size = ByteCount.mebibytes(4)

  private func received(_ socket: EventSocket) -> [String] {
    var events: [String] = []
    while let message = socket.next() {
      switch message {
      case .event(let event):
        events.append(
          "\(event.operation) \(event.failure?.rawValue ?? event.size.shortDescription)")
        #expect(event.duration >= .zero && event.duration < .seconds(60))
      case .invalid: events.append("invalid")
      }
    }
    return events
  }

  @Test func operationsSendEvents() throws {
    let place = try Place()
    let reservoir = try place.reservoir()
    let socket = try #require(try reservoir.listen())
    // Like another process: it shares only the folders.
    let other = try Reservoir(mount: place.path)
    try other.fill([size, size])
    _ = try other.lease(size, "a")
    _ = try other.held(size, "b")
    #expect(code { _ = try other.lease(size, "c") } == .noReadyMemory)
    // Errors of the caller's arguments are not reported.
    #expect(code { _ = try other.lease(size, "a") } == .alreadyExists)
    #expect(code { _ = try other.lease(ByteCount(1), "d") } == .invalidArgument)
    #expect(code { _ = try other.release(LeaseName("d")) } == .noLease)
    _ = try other.recycle(LeaseName("a"), options: RecycleOptions(reuse: .scrub))
    _ = try other.collect(CollectOptions(reuse: .release))
    _ = try other.lease(size, "e")
    _ = try other.release(LeaseName("e"))
    #expect(
      received(socket) == [
        "fill 4M", "fill 4M", "lease 4M", "lease 4M", "lease noReadyMemory", "recycle 4M",
        "release 4M",
        "lease 4M", "release 4M",
      ])
  }

  @Test func anObserverReceivesTheEventsInstead() throws {
    let place = try Place()
    let socket = try #require(try place.reservoir().listen())
    let events = Events()
    let reservoir = try Reservoir(mount: place.path) { events.add($0) }
    try reservoir.fill([size])
    var request = LeaseRequest(size: size)
    request.timeout = .milliseconds(30)
    _ = try reservoir.lease(request)
    #expect(code { _ = try reservoir.lease(request) } == .noReadyMemory)
    #expect(received(socket) == [])
    #expect(events.all.map(\.operation) == [.fill, .lease, .lease])
    #expect(events.all[1].duration > .zero && events.all[1].waited < events.all[2].duration)
    #expect(events.all[2].failure == .noReadyMemory && events.all[2].duration >= .milliseconds(30))
  }

  @Test func waitingForMemoryCanBeCancelled() throws {
    let place = try Place()
    let events = Events()
    _ = try place.reservoir()
    let reservoir = try Reservoir(mount: place.path) { events.add($0) }
    var request = LeaseRequest(size: size)
    request.timeout = .seconds(60)
    let waiting = request
    let token = CancellationToken()
    let start = ContinuousClock.now
    let error = both {
      #expect(code { _ = try reservoir.lease(waiting, cancellation: token) } == .cancelled)
    } and: {
      usleep(20_000)
      token.cancel()
    }
    #expect(error == nil && token.isCancelled && events.all.isEmpty)
    #expect(ContinuousClock.now - start < .seconds(30))

    // Growing can be cancelled too, and leaves the file as it was.
    try reservoir.fill([size])
    request.size = .mebibytes(200)
    request.grows = true
    #expect(code { _ = try reservoir.lease(request, cancellation: token) } == .cancelled)
    #expect(try reservoir.counts() == ["4M 1 0 0"])
  }

  /// Operations succeed without a listener, with the socket of a dead one, with a full socket, and
  /// with another file of that name.
  @Test func operationsDoNotNeedAListener() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    func lives(_ what: String) throws {
      #expect(try reservoir.lease(size, "vm").receipt.size == size, "\(what)")
      #expect(
        try reservoir.recycle(LeaseName("vm"), options: RecycleOptions(reuse: .scrub))
          == .recycled(size), "\(what)")
    }
    try lives("no listener")
    do {
      let socket = try #require(try reservoir.listen())
      for _ in 0..<100 { try lives("full socket") }
      #expect(!received(socket).isEmpty)
    }
    #expect(!FileManager.default.fileExists(atPath: place.file("events")))
    try deadSocket(place)
    try lives("dead listener")
    let socket = try #require(try reservoir.listen())
    try lives("another listener")
    #expect(received(socket) == ["lease 4M", "recycle 4M"])
    for make in [
      { mkfifo($0, 0o600) }, { symlink("/dev/log", $0) }, { mkdir($0, 0o700) },
      { close(open($0, O_CREAT | O_RDWR, 0o600)) },
    ] as [(String) -> Int32] {
      _ = unlink(place.file("events"))
      #expect(make(place.file("events")) == 0)
      try lives("another file")
      #expect(code { _ = try reservoir.listen() } != nil)
      _ = rmdir(place.file("events"))
    }
  }

  /// Creates a socket as a killed process leaves it behind.
  private func deadSocket(_ place: Place) throws {
    let file = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    try #require(file >= 0)
    defer { close(file) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let name = place.file("events")
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name.utf8) }
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(file, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(status == 0, "\(errno)")
  }

  @Test func oneProcessListensAtATime() throws {
    let place = try Place()
    let reservoir = try place.reservoir(size)
    var first = try reservoir.listen()
    #expect(first?.isCurrent == true)
    #expect(try reservoir.listen() == nil)
    var status = stat()
    #expect(stat(place.file("events"), &status) == 0 && status.st_mode & 0o777 == 0o200)
    first = nil
    let second = try #require(try reservoir.listen())
    // A process that removes the name does not become the listener.
    #expect(unlink(place.file("events")) == 0 && !second.isCurrent)
    let third = try #require(try reservoir.listen())
    #expect(third.isCurrent && !second.isCurrent)
    withExtendedLifetime(second) {}
  }

  @Test func messages() {
    let event = ReservoirEvent(
      .lease, failure: .noReadyMemory, size: size, duration: .microseconds(77), waited: .seconds(2))
    #expect(ReservoirEvent(message: event.message) == event)
    #expect(event.message.utf8.count < 200)
    let good = ReservoirEvent(.recycle, size: .gibibytes(1 << 20), duration: .seconds(-1))
    #expect(ReservoirEvent(message: good.message)?.duration == .zero)
    #expect(ReservoirEvent(message: good.message + "\nLATER=1") != nil)
    for (part, other) in [
      ("HOLDFAST=1", "HOLDFAST=2"), ("=recycle", "=mkfs"), ("BYTES=", "BYTES=-"),
      ("BYTES=", "BYTES=9999999"), ("NANOSECONDS=0", "NANOSECONDS="),
      ("NANOSECONDS=0", "NANOSECONDS=+1"), ("WAITED=0", "WAITED=1e3"), ("WAITED=0", ""),
      ("WAITED=0", "WAITED=0\nWAITED=0"), ("WAITED=0", "WAITED=0\nFAILURE=none"),
      ("WAITED=0", "WAITED=0\n"),
    ] {
      let text = good.message.replacing(part, with: other)
      #expect(text != good.message && ReservoirEvent(message: text) == nil, "\(text)")
    }
    for text in ["", "\n", "=", "HOLDFAST=1"] { #expect(ReservoirEvent(message: text) == nil) }
  }

  @Test func invalidMessages() throws {
    let place = try Place()
    let reservoir = try place.reservoir()
    let socket = try #require(try reservoir.listen())
    for text in ["", "x", String(repeating: "HOLDFAST=1\n", count: 1000)] {
      try reservoir.top.send(text, to: "events")
    }
    #expect(received(socket) == ["invalid", "invalid", "invalid"])
  }

  private final class Events: @unchecked Sendable {
    private let lock = NSLock()
    private var events: [ReservoirEvent] = []
    var all: [ReservoirEvent] { lock.withLock { events } }
    func add(_ event: ReservoirEvent) { lock.withLock { events.append(event) } }
  }
}
