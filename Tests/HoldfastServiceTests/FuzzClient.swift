import Glibc
import HoldfastTestKit
import Synchronization

/// A user who sends valid requests, altered ones and nonsense, and keeps account of the leases.
final class FuzzClient {
  let user: UInt32
  private let path: String
  /// Files to send along.
  private let files: [Int32]
  private var random: SeededGenerator
  private var number = 0
  /// The plain leases that the service has told of and not released.
  private(set) var told: Set<String> = []
  /// The names of leases that may exist, since no answer to a request was read.
  private(set) var unsure: Set<String> = []
  /// Those of them whose release was not tried yet. Root, without a limit, would fill the mount.
  private var untried: [String] = []
  /// The number of messages by kind and by answer.
  private(set) var counts: [String: Int] = [:]
  private(set) var problems: [String] = []

  init(_ user: UInt32, _ path: String, files: [Int32], seed: UInt64) {
    self.user = user
    self.path = path
    self.files = files
    random = SeededGenerator(seed: seed &* 1000 &+ UInt64(user))
  }

  func run(for time: Duration) {
    let end = ContinuousClock.now + time
    while ContinuousClock.now < end, problems.count < 10 { step() }
  }

  private func count(_ kind: String) { counts[kind, default: 0] += 1 }

  private func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &random) }

  private func step() {
    switch below(8) {
    case 0...1: ask("lease", leaseRequest(isNamed: false))
    case 2: ask("release", releaseRequest())
    case 3: ask("status", "HOLDFAST=1\nREQUEST=status")
    case 4...5:
      let request = [
        leaseRequest(isNamed: false), releaseRequest(), "HOLDFAST=1\nREQUEST=status",
      ][below(3)]
      send("altered", altered(Array(request.utf8)))
    case 6: send("nonsense", nonsense())
    default: vanish()
    }
  }

  // MARK: - Requests

  private func leaseRequest(isNamed: Bool) -> String {
    number += 1
    var lines = ["HOLDFAST=1", "REQUEST=lease", "BYTES=1048576"]
    // Leases without a name are told of by the answer alone.
    if isNamed || below(4) > 0 { lines.append("NAME=u\(user)-\(number)") }
    if below(3) == 0 || told.count > 3 { lines.append("HELD=1") }
    if below(4) == 0 { lines.append("WAIT=\(below(60))") }
    if below(6) == 0 { lines.append(["EXACT=1", "GROW=1", "LATER=7"][below(3)]) }
    return lines.joined(separator: "\n")
  }

  private func releaseRequest() -> String {
    let name = untried.popLast() ?? told.randomElement(using: &random) ?? "none"
    return "HOLDFAST=1\nREQUEST=release\nNAME=\(name)"
  }

  private func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
  }

  private func altered(_ request: [UInt8]) -> [UInt8] {
    var text = request
    for _ in 0...below(3) {
      let place = below(text.count + 1)
      switch below(9) {
      case 0 where place < text.count: text[place] ^= 1 << UInt8(below(8))
      case 1: text.insert(contentsOf: bytes(1 + below(4)), at: place)
      case 2: text.removeSubrange(place..<min(text.count, place + 1 + below(6)))
      case 3: text.removeSubrange(place...)
      case 4: text += [10] + text
      case 5:
        text += Array("\nWAIT=\(UInt64.random(in: 0...(.max), using: &random))".utf8)
      case 6: text += Array("\nBYTES=\(String(repeating: "9", count: 1 + below(40)))".utf8)
      case 7:
        let keys = (0..<below(2000)).map { "\nK\($0)=" }.joined()
        text += Array(keys.utf8)
      default:
        let lines = text.split(separator: 10, omittingEmptySubsequences: false)
        text = Array(lines.shuffled(using: &random).joined(separator: [10]))
      }
    }
    return text
  }

  private func nonsense() -> [UInt8] {
    switch below(6) {
    case 0: return []
    case 1: return bytes(1 + below(64))
    case 2: return Array("HOLDFAST=1\n".utf8) + bytes(below(2048))
    case 3: return Array(repeating: [0, 10, 61, 255][below(4)], count: 1 + below(100_000))
    case 4: return Array("HOLDFAST=1\nREQUEST=lease\nBYTES=1048576".utf8) + bytes(3000)
    default: return Array(String(repeating: "HOLDFAST=1\n", count: below(180)).utf8)
    }
  }

  private func attached() -> [Int32] {
    guard below(3) == 0 else { return [] }
    return (0..<[1, 2, 16, 253][below(4)]).map { files[$0 % files.count] }
  }

  // MARK: - Connections

  private func connect() -> RawSocket? {
    guard let socket = ThreadUser.with(user, { RawSocket(path) }) ?? nil else {
      count("refused by the kernel")
      usleep(1000)
      return nil
    }
    return socket
  }

  /// A valid request, which is answered.
  private func ask(_ kind: String, _ text: String) {
    count(kind)
    guard let socket = connect() else { return }
    guard socket.send(Array(text.utf8), files: attached()) else { return count("not sent") }
    // The first call fails where the service has refused the user before the request came.
    guard let packet = socket.receive(60_000) ?? socket.receive(0) else {
      problems.append("no answer to \(text)")
      return
    }
    read(packet, text)
  }

  /// Something that may ask for a wait of a day, or for nothing.
  private func send(_ kind: String, _ text: [UInt8]) {
    count(kind)
    guard let socket = connect() else { return }
    guard socket.send(text, files: attached()) else { return count("not sent") }
    if below(8) == 0 { socket.stopSending() }
    let request = String(decoding: text, as: UTF8.self)
    // From then on an answer is either here or not sent.
    let isPatient = !request.contains("lease")
    var packet = socket.receive(isPatient ? 60_000 : 200) ?? socket.receive(0)
    if packet == nil {
      socket.stopReceiving()
      packet = socket.receive(0)
    }
    if let packet { read(packet, request) } else { count("closed") }
  }

  /// Connections that end before, while or after the service reads.
  private func vanish() {
    count("vanishing")
    guard let socket = connect() else { return }
    let request = leaseRequest(isNamed: true)
    switch below(5) {
    case 0: break
    case 1: socket.send(nonsense(), files: attached())
    case 2:
      socket.send(Array("HOLDFAST=1\nREQUEST=status".utf8), files: attached())
      usleep(UInt32(below(300)))
    default:
      for line in request.split(separator: "\n") where line.hasPrefix("NAME=") {
        unsure.insert(String(line.dropFirst(5)))
        untried.append(String(line.dropFirst(5)))
      }
      socket.send(Array(request.utf8), files: attached())
      if below(2) == 0 { usleep(UInt32(below(3000))) }
      if below(3) == 0 { socket.stopReceiving() }
    }
  }

  /// Reads an answer and takes account of it.
  private func read(_ packet: RawSocket.Packet, _ request: String) {
    defer { for file in packet.files { close(file) } }
    var keys: [String: String] = [:]
    for line in packet.text.split(separator: "\n") {
      let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      keys[String(parts[0])] = parts.count > 1 ? String(parts[1]) : ""
    }
    let result = keys["RESULT"] ?? "?"
    count("answer " + (keys["CODE"] ?? result))
    if (result == "lease") != (packet.files.count == 1) || packet.files.count > 1 {
      problems.append("\(packet.files.count) files with \(packet.text)")
    }
    switch result {
    case "lease":
      let name = keys["NAME"] ?? "?"
      if keys["HELD"] == "0", !told.insert(name).inserted { problems.append("\(name) twice") }
      check(packet.files.first ?? -1, keys)
    case "release":
      let line = request.split(separator: "\n").first { $0.hasPrefix("NAME=") }
      let name = line.map { String($0.dropFirst(5)) } ?? "?"
      if told.remove(name) == nil, unsure.remove(name) == nil {
        problems.append("\(name) was released, which is no lease")
      }
    case "error":
      let code = keys["CODE"] ?? "?"
      let expected = [
        "invalidArgument", "noReadyMemory", "resourceShortage", "noLease", "busy", "alreadyExists",
      ]
      if !expected.contains(code) { problems.append("\(packet.text) to \(request)") }
    default: if result != "status" { problems.append(packet.text) }
    }
  }

  /// Checks that the memory is zero, and writes to it.
  private func check(_ file: Int32, _ keys: [String: String]) {
    var status = stat()
    var words = [UInt64](repeating: 1, count: 512)
    guard fstat(file, &status) == 0, "\(status.st_size)" == keys["BYTES"], status.st_nlink == 1,
      status.st_uid == user
    else {
      problems.append("\(status) for \(keys)")
      return
    }
    for place in [0, Int(status.st_size) / 2, Int(status.st_size) - 4096] {
      guard pread(file, &words, 4096, place) == 4096, words.allSatisfy({ $0 == 0 }) else {
        problems.append("not zero: \(keys)")
        return
      }
      let mark = [UInt64](repeating: UInt64(user) + 1, count: 512)
      if pwrite(file, mark, 4096, place) != 4096 { problems.append("not written: \(keys)") }
    }
  }
}
