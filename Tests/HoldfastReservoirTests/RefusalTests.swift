import Foundation
import Glibc
import HoldfastCore
import HoldfastLinux
import HoldfastReservoir
import Testing

/// A service that refuses a user does not wait for the request, and the user gets its answer.
struct RefusalTests {
  private let reason = "the limit of requests is 1"

  /// A socket, and a client's connection to it.
  private func connect(_ place: Place) throws -> (PacketListener, PacketSocket) {
    let folder = try Folder.open(path: place.path)
    let listener = try PacketListener(
      in: folder, "socket", owner: geteuid(), group: getegid(), permissions: 0o600)
    return (listener, try PacketSocket(path: place.path + "/socket"))
  }

  @Test func afterTheRequest() throws {
    let place = try Place()
    let (listener, client) = try connect(place)
    try client.send("HOLDFAST=1\nREQUEST=status")
    do { LeaseServer.refuse(try #require(try listener.accept()), reason) }
    // A client need not know that a connection can be reset and have an answer.
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = recv(client.descriptor, &bytes, bytes.count, 0)
    try #require(count > 0, "\(errno)")
    #expect(String(decoding: bytes[..<count], as: UTF8.self).contains("REASON=\(reason)"))
  }

  @Test func whileTheRequestIsSent() throws {
    let place = try Place()
    let (listener, client) = try connect(place)
    do {
      let connection = try #require(try listener.accept())
      LeaseServer.refuse(connection, reason)
      try client.send("HOLDFAST=1\nREQUEST=status")
    }
    guard case .text(let text, _) = try client.receive(timeout: .seconds(5), acceptsFile: true)
    else {
      Issue.record("no answer")
      return
    }
    #expect(text?.contains("REASON=\(reason)") == true)
    guard case .end = try client.receive(timeout: .seconds(5), acceptsFile: true) else {
      Issue.record("no end")
      return
    }
  }

  @Test func beforeTheRequest() throws {
    let place = try Place()
    let listener = try PacketListener(
      in: try Folder.open(path: place.path), "socket", owner: geteuid(), group: getegid(),
      permissions: 0o600)
    let path = place.path + "/socket"
    let refusing = Thread {
      while true {
        if let connection = try? listener.accept() {
          return LeaseServer.refuse(connection, "the limit of requests is 1")
        }
        usleep(100)
      }
    }
    refusing.start()
    do {
      _ = try ReservoirClient(socket: path).status()
      Issue.record("an answer")
    } catch {
      #expect(error.code == .busy && error.reason == reason, "\(error)")
    }
  }
}
