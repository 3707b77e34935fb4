import Foundation
import HoldfastTestKit
import Testing

/// A reservoir with a service and its configuration. The service is killed with the object.
final class ServedPlace {
  let place: ReservoirPlace
  let folder: URL
  private(set) var program: HoldfastProgram?

  /// Creates the reservoir with the options of `reservoir init`, on tmpfs or, with a size, on a
  /// separate file system, and starts nothing yet.
  init(fileSystem: String? = nil, size: Int = 0, options: [String] = []) throws {
    place = try ReservoirPlace(fileSystem: fileSystem, size: size, options: options)
    folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-serve-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit {
    if let program {
      program.send(SIGKILL)
      _ = try? program.wait()
    }
    try? FileManager.default.removeItem(at: folder)
  }

  var configuration: String { folder.appending(path: "reservoir.conf").path }

  /// Writes the configuration: the text, with a short interval and the priority of the tests, which
  /// other builds and tests would otherwise hold up.
  func configure(
    _ text: String, head: String = "interval = 0.1\npriority = normal\n"
  ) throws {
    try "[reservoir]\nmount = \(place.path)\n\(head)\(text)\n".write(
      toFile: configuration, atomically: true, encoding: .utf8)
  }

  var words: [String] { ["reservoir", "serve", "--config", configuration] }

  func start(variables: [String] = []) throws {
    try start(command: ["env"] + variables + [HoldfastProgram.path])
  }

  func start(command: [String]) throws {
    program = try HoldfastProgram(words, command: command)
  }

  /// Kills the service.
  func stopAtOnce() {
    program?.send(SIGKILL)
    _ = try? program?.wait()
    program = nil
  }

  /// Starts the service after a command of the shell, such as one that sets a limit.
  func start(after command: String) throws {
    let script = command + " && exec \"$0\" \"$@\""
    program = try HoldfastProgram(words, command: ["sh", "-c", script, HoldfastProgram.path])
  }

  func send(_ signal: Int32) throws { try #require(program).send(signal) }

  /// Lets the service read its configuration again, and waits until it has.
  func reload() throws {
    let line = "was read again"
    let before = log.ranges(of: line).count
    try send(SIGHUP)
    try until("reloaded") { log.ranges(of: line).count > before }
  }

  /// Waits for the service's end.
  func end() throws -> HoldfastProgram.Outcome {
    defer { program = nil }
    return try #require(program).wait()
  }

  /// Waits until a condition is true.
  func until(
    _ what: String, _ isSo: () throws -> Bool, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let isThere = try eventually(within: .seconds(30), isSo)
    try #require(
      isThere, "\(what): \(place.names("ready")) \(log)", sourceLocation: sourceLocation)
  }

  var log: String { program?.errorSoFar ?? "" }

  /// Sizes of the files that are ready, such as `4M`.
  var ready: [String] { place.names("ready").map { String($0.prefix { $0 != "-" }) } }

  /// Creates an orphan as dead processes leave it: a lease of `run` whose lock is free.
  func orphan(_ name: String) throws {
    let file = try #require(place.names("ready").first)
    let folder = place.file("leased/\(geteuid())")
    mkdir(folder, 0o700)
    try #require(rename(place.file("ready/" + file), folder + "/\(name).run") == 0)
  }

  /// The response to `/healthz`: the status, and the line below.
  func health() throws -> (status: String, line: String) {
    let answer = try ask("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    let end = try #require(answer.range(of: "\r\n\r\n"), "\(answer)")
    return (String(answer.dropFirst(9).prefix(3)), String(answer[end.upperBound...]))
  }

  /// The service's response to a request.
  func ask(_ request: String) throws -> String {
    let file = try connection()
    defer { close(file) }
    let bytes = Array(request.utf8)
    try #require(write(file, bytes, bytes.count) == bytes.count)
    var answer: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = read(file, &block, block.count)
      if count <= 0 { break }
      answer += block[..<count]
    }
    return String(decoding: answer, as: UTF8.self)
  }

  /// The service's port.
  func port() throws -> UInt16 {
    try until("listens") { log.contains("metrics at http://127.0.0.1:") }
    let text = log.split(separator: "http://127.0.0.1:")[1].prefix { $0.isNumber }
    return try #require(UInt16(text))
  }

  /// A connection to the service's port, which the caller closes.
  func connection() throws -> Int32 {
    let port = try port()
    // Not inherited by services of other tests, which may have few descriptors.
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let file = socket(AF_INET, kind, 0)
    try #require(file >= 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(file, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(status == 0, "\(errno)")
    return file
  }
}

/// The socket of a service manager.
final class NotifySocket {
  private let file: Int32
  private(set) var messages: [String] = []

  /// A path, or an abstract name that begins with `@`.
  init(_ name: String) throws {
    file = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
    try #require(file >= 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name.utf8) }
    if name.hasPrefix("@") { address.sun_path.0 = 0 }
    let length = socklen_t(2 + name.utf8.count + (name.hasPrefix("@") ? 0 : 1))
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(file, $0, length) }
    }
    try #require(status == 0, "\(errno)")
  }

  deinit { close(file) }

  /// Receives pending messages, and returns whether any message has a line that begins so.
  func has(_ line: String) -> Bool {
    var block = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(file, &block, block.count, 0)
      if count <= 0 { break }
      messages.append(String(decoding: block[..<count], as: UTF8.self))
    }
    return messages.contains { $0.split(separator: "\n").contains { $0.hasPrefix(line) } }
  }

  func forget() { messages = [] }
}
