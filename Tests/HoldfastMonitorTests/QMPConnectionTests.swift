import Foundation
import Glibc
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import SystemPackage
import Testing

@testable import HoldfastMonitor

/// QMP with a peer that may be anything.
struct QMPConnectionTests {
  /// The other end of a connection. What it sends waits in the socket until it is read.
  private final class Peer {
    let socket: StreamSocket
    private var file: OpenFile?

    init(_ texts: String...) throws {
      let pair = try StreamSocket.pair()
      (socket, file) = (pair.ours, pair.theirs)
      for text in texts { try send(Array(text.utf8)) }
    }

    func send(_ bytes: [UInt8]) throws {
      try #require(write(file!.descriptor, bytes, bytes.count) == bytes.count)
    }

    /// Sends until the other side has closed its end.
    func flood(_ text: String) -> Thread {
      let file = file!
      let bytes = Array(text.utf8)
      let thread = Thread {
        while Glibc.send(file.descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) > 0 {}
      }
      thread.start()
      return thread
    }

    /// What it has received.
    func received() -> String {
      var bytes = [UInt8](repeating: 0, count: 1 << 16)
      let count = recv(file!.descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
      return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    func close() { file = nil }
  }

  private static let greeting = #"{"QMP": {"version": {}, "capabilities": []}}"# + "\r\n"
  private static let ok = #"{"return": {}}"# + "\r\n"

  private func problem(_ body: () throws -> Void) -> QMPConnection.Problem? {
    do {
      try body()
      return nil
    } catch {
      return error as? QMPConnection.Problem
    }
  }

  @Test func commands() throws {
    let event = #"{"timestamp": {"seconds": 1}, "event": "STOP"}"# + "\n"
    let peer = try Peer(
      Self.greeting + "\r\n \n" + event + Self.ok,
      event + event, #"{"return": {"status": "#, #""paused"}}"# + "\n",
      #"{"return": {"qemu": {"major": 7, "minor": 2, "micro": 22}}}"# + "\n" + Self.ok)
    let qemu = try QMPConnection(peer.socket, timeout: .seconds(20))
    #expect(peer.received() == #"{"execute":"qmp_capabilities"}"# + "\n")
    #expect(try qemu.state() == "paused")
    #expect(try qemu.version() == "7.2.22")
    #expect(peer.received().split(separator: "\n").count == 2)
    _ = try qemu.execute("getfd", [("fdname", .string("a \"b\"\n"))])
    #expect(
      peer.received() == #"{"execute":"getfd","arguments":{"fdname":"a \"b\"\n"}}"# + "\n")
  }

  @Test(arguments: [
    "\n\n{}\n", "[]\n", "null\n", "{\"QMP\n", "QEMU 7.2.22 monitor - type 'help'\n(qemu) \n",
    "{\"return\":{}}\n", "\u{0}\u{1}\n", "HTTP/1.1 400 Bad Request\r\n\r\n",
    String(repeating: "[", count: 10_000) + "\n",
  ])
  func greetingsThatAreNotQMP(_ text: String) throws {
    let peer = try Peer(text)
    #expect(problem { _ = try QMPConnection(peer.socket, timeout: .seconds(20)) } == .nonsense)
  }

  @Test(arguments: [
    ("{}\n", QMPConnection.Problem.nonsense), ("{\"x\":1}\n", .nonsense), ("\"a\"\n", .nonsense),
    ("{\"error\":{\"class\":\"X\",\"desc\":\"no such\"}}\n", .refused("no such")),
    ("{\"error\":{\"class\":\"X\"}}\n", .refused("{\"class\":\"X\"}")),
    ("{\"error\":7}\n", .refused("7")), ("{\"error\":{\"desc\":7}}\n", .refused("{\"desc\":7}")),
  ])
  func answers(_ text: String, _ expected: QMPConnection.Problem) throws {
    let peer = try Peer(Self.greeting + Self.ok + text)
    let qemu = try QMPConnection(peer.socket, timeout: .seconds(20))
    #expect(problem { _ = try qemu.execute("stop") } == expected)
  }

  @Test(arguments: [
    "{}", "null", "7", "{\"qemu\":7}", "{\"qemu\":{\"major\":7,\"minor\":2}}",
    "{\"qemu\":{\"major\":\"7\",\"minor\":2,\"micro\":2}}",
    "{\"qemu\":{\"major\":7.5,\"minor\":2,\"micro\":2}}",
  ])
  func versionsAndStatesThatAreNone(_ text: String) throws {
    let peer = try Peer(
      Self.greeting + Self.ok + "{\"return\":\(text)}\n{\"return\":\(text)}\n")
    let qemu = try QMPConnection(peer.socket, timeout: .seconds(20))
    #expect(problem { _ = try qemu.version() } == .nonsense)
    #expect(problem { _ = try qemu.state() } == .nonsense)
  }

  @Test func endsOfTheConnection() throws {
    for text in ["", Self.greeting, Self.greeting + "{\"return\":", Self.greeting + Self.ok] {
      let peer = try Peer(text)
      peer.close()
      let found = problem {
        let qemu = try QMPConnection(peer.socket, timeout: .seconds(20))
        _ = try qemu.execute("stop")
      }
      #expect(found == .ended, "\(text)")
    }
  }

  @Test func peersThatAreSilent() throws {
    for text in ["", "{\"QMP\":", Self.greeting, Self.greeting + "{\"event\":\"X\"}\n"] {
      let peer = try Peer(text)
      #expect(
        problem { _ = try QMPConnection(peer.socket, timeout: .milliseconds(50)) } == .late,
        "\(text)")
    }
  }

  /// A line without an end is given up before it fills the memory.
  @Test func aLineWithoutAnEnd() throws {
    let peer = try Peer()
    let thread = peer.flood(String(repeating: "{\"a\":", count: 10_000))
    #expect(problem { _ = try QMPConnection(peer.socket, timeout: .seconds(60)) } == .nonsense)
    withExtendedLifetime((peer, thread)) {}
  }

  /// Events do not put the timeout off.
  @Test func eventsWithoutAnEnd() throws {
    let peer = try Peer(Self.greeting)
    let thread = peer.flood("{\"event\":\"X\"}\n")
    #expect(problem { _ = try QMPConnection(peer.socket, timeout: .milliseconds(300)) } == .late)
    withExtendedLifetime((peer, thread)) {}
  }

  /// A peer that reads nothing.
  @Test func commandsThatAreNotRead() throws {
    let peer = try Peer(Self.greeting + Self.ok)
    let qemu = try QMPConnection(peer.socket, timeout: .milliseconds(20))
    let large = JSONValue.string(String(repeating: "x", count: 100_000))
    let found = problem {
      for _ in 0..<10 {
        do {
          _ = try qemu.execute("x", [("a", large)])
        } catch QMPConnection.Problem.late {
          // Either it was not sent, or not answered.
        }
      }
    }
    #expect(found == nil)
    #expect(problem { _ = try qemu.execute("x", [("a", large)]) } == .late)
  }

  @Test func `random answers are understood or refused`() throws {
    var fuzz = Fuzz(
      "QMP",
      like: [
        Self.greeting + Self.ok + #"{"return": {"status": "running"}}"# + "\n",
        Self.greeting + #"{"event": "STOP"}"# + "\n" + Self.ok
          + #"{"error": {"class": "X", "desc": "y"}}"# + "\n",
      ])
    for _ in 0..<Fuzz.cases {
      let peer = try Peer()
      let bytes = fuzz.bytes()
      if !bytes.isEmpty { try peer.send(bytes) }
      peer.close()
      let found = problem {
        let qemu = try QMPConnection(peer.socket, timeout: .seconds(20))
        _ = try qemu.state()
      }
      if case .late = found { Issue.record("late after \(bytes)") }
    }
  }
}
