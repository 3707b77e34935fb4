package import HoldfastCore
package import HoldfastLinux
package import SystemPackage

/// A connection to QEMU by its machine protocol (QMP): commands and answers in JSON, a line each.
///
/// One thread uses it at a time.
package final class QMPConnection {
  private let socket: StreamSocket
  private let timeout: Duration
  /// What was received behind the last line.
  private var received: [UInt8] = []

  /// The longest line that is read. QEMU's are some hundred bytes.
  private static let longest = 1 << 20

  /// What QEMU answered that it cannot do, or why there is no answer.
  package enum Problem: Error, Hashable {
    /// QEMU's own words.
    case refused(String)
    /// QEMU has closed the connection, as it does when it ends.
    case ended
    /// No answer came in time.
    case late
    /// What came is not QMP.
    case nonsense
    /// A system call failed.
    case failed(Errno)
  }

  /// Waits for QEMU's greeting, and agrees on the protocol.
  ///
  /// - Parameter timeout: how long an answer may take.
  package init(_ socket: StreamSocket, timeout: Duration = .seconds(60)) throws(Problem) {
    self.socket = socket
    self.timeout = timeout
    guard try line(until: Instant.now + timeout)["QMP"] != nil else { throw .nonsense }
    _ = try execute("qmp_capabilities")
  }

  /// Executes a command.
  ///
  /// - Parameters:
  ///   - command: its name.
  ///   - arguments: its arguments.
  ///   - descriptor: a descriptor that QEMU gets with it.
  /// - Returns: what it returned.
  package func execute(
    _ command: String, _ arguments: [(String, JSONValue)] = [], descriptor: Int32? = nil
  ) throws(Problem) -> JSONValue {
    var members: [(String, JSONValue)] = [("execute", .string(command))]
    if !arguments.isEmpty { members.append(("arguments", .object(arguments))) }
    do throws(Errno) {
      try socket.send(
        Array((JSONValue.object(members).text + "\n").utf8), descriptor: descriptor,
        timeout: timeout)
    } catch {
      throw error == .brokenPipe || error == .connectionReset
        ? .ended : error == .timedOut ? .late : .failed(error)
    }
    // Also where the peer sends events all the time.
    let end = Instant.now + timeout
    while true {
      let answer = try line(until: end)
      if let value = answer["return"] { return value }
      if let error = answer["error"] { throw .refused(error["desc"]?.string ?? error.text) }
      // An event.
      guard answer["event"] != nil else { throw .nonsense }
    }
  }

  /// Receives the next line.
  private func line(until end: Instant) throws(Problem) -> JSONValue {
    while true {
      guard Instant.now < end else { throw .late }
      if let index = received.firstIndex(of: UInt8(ascii: "\n")) {
        let line = received[..<index]
        received.removeFirst(index + 1 - received.startIndex)
        if line.allSatisfy({ $0 == 0x20 || $0 == 0x0D }) { continue }
        guard let value = JSONValue(parsing: line) else { throw .nonsense }
        return value
      }
      guard received.count < Self.longest else { throw .nonsense }
      do throws(Errno) {
        let bytes = try socket.receive(timeout: (end - Instant.now).bounded)
        if bytes.isEmpty { throw Errno.brokenPipe }
        received += bytes
      } catch {
        throw error == .brokenPipe ? .ended : error == .timedOut ? .late : .failed(error)
      }
    }
  }
}

extension QMPConnection.Problem: CustomStringConvertible {
  /// A phrase for people, for behind a colon.
  package var description: String {
    switch self {
    case .refused(let words): "QEMU says: \(words)"
    case .ended: "the monitor has ended"
    case .late: "the monitor does not answer"
    case .nonsense: "what the monitor answers is not QMP"
    case .failed(let error): "the connection to the monitor failed (\(error))"
    }
  }
}
