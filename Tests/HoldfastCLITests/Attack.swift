import Foundation
import HoldfastTestKit
import Testing

/// The programs of an attacker, and the scene: a folder in which test and attacker tell each other
/// how far they are. The programs end with the object.
///
/// They are in Tests/Clients, and are passed to python3 as text, since the attacker's user need not
/// be able to read the files.
final class Attack {
  let scene: String
  private var programs: [HoldfastProgram] = []

  /// What the suites need.
  static let isPossible = HostNeeds.canChangeUser && HostNeeds.python
  static let comment: Comment = "needs root, runuser and python3"
  /// A reservoir that the user nobody may lease from.
  static let options = ["--group", "nogroup"]
  static let user = 65534

  init() throws {
    scene = "/tmp/holdfast-attack-\(UUID())"
    try #require(mkdir(scene, 0o777) == 0 && chmod(scene, 0o777) == 0)
  }

  deinit {
    for word in ["go", "stop"] { try? tell(word, []) }
    for program in programs { _ = try? program.wait() }
    try? FileManager.default.removeItem(atPath: scene)
  }

  /// The text of files in Tests/Clients.
  static func text(_ names: String...) throws -> String {
    let folder = URL(filePath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Clients")
    return try names.map {
      try String(contentsOf: folder.appending(path: $0 + ".py"), encoding: .utf8)
    }.joined(separator: "\n")
  }

  /// Starts a way of `crowd.py`.
  func crowd(_ how: String, _ path: String, _ words: [String]) throws {
    try start("crowd", [how, path] + words)
  }

  func start(_ name: String, _ words: String...) throws { try start(name, words) }

  /// Starts a program of the user nobody.
  private func start(_ name: String, _ words: [String]) throws {
    let command = ["runuser", "-u", "nobody", "--", "python3", "-c", try Self.text("attack", name)]
    programs.append(try HoldfastProgram([scene] + words, command: command))
  }

  /// Leases as the user nobody, by the client of the lease protocol, and returns the answer.
  @discardableResult
  func lease(_ place: ReservoirPlace, _ name: String) throws -> String {
    let command = ["runuser", "-u", "nobody", "--", "python3", "-c", try Self.text("lease")]
    let outcome = try HoldfastProgram(
      [place.file("socket"), "REQUEST=lease", "BYTES=4194304", "NAME=" + name], command: command
    ).wait()
    try #require(outcome.output.contains("RESULT=lease"), "\(outcome)")
    return outcome.output
  }

  /// Tells the attacker something.
  func tell(_ name: String, _ names: [String] = []) throws {
    try JSONSerialization.data(withJSONObject: names).write(
      to: URL(filePath: scene + "/" + name), options: .atomic)
    chmod(scene + "/" + name, 0o644)
  }

  /// Waits for something that the attacker tells.
  func value(_ name: String) throws -> Any {
    let path = scene + "/" + name
    let isThere = eventually { access(path, F_OK) == 0 }
    try #require(isThere, "no \(name): \(programs.map(\.errorSoFar))")
    let data = try Data(contentsOf: URL(filePath: path))
    return try JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed)
  }

  func text(_ name: String) throws -> String { try #require(try value(name) as? String) }

  func list(_ name: String) throws -> [String] { try #require(try value(name) as? [String]) }
}

/// The memory of a file, by a mapping, since hugetlbfs has no write(2).
enum FileMemory {
  private static func with<Result>(
    _ path: String, _ body: (UnsafeMutableRawBufferPointer) throws -> Result
  ) throws -> Result {
    let file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
    try #require(file >= 0, "\(path): \(errno)")
    defer { close(file) }
    var status = stat()
    try #require(fstat(file, &status) == 0)
    let size = Int(status.st_size)
    let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
    try #require(memory != MAP_FAILED, "\(path): \(errno)")
    defer { munmap(memory, size) }
    return try body(UnsafeMutableRawBufferPointer(start: memory, count: size))
  }

  /// Writes a word, of at most eight bytes, to each page.
  static func fill(_ path: String, _ word: String) throws {
    try with(path) { memory in
      for page in stride(from: 0, to: memory.count, by: 4096) {
        UnsafeMutableRawBufferPointer(rebasing: memory[page..<page + 8]).copyBytes(from: word.utf8)
      }
    }
  }

  static func has(_ path: String, _ word: String) throws -> Bool {
    try with(path) { memory in
      Data(bytesNoCopy: memory.baseAddress!, count: memory.count, deallocator: .none)
        .range(of: Data(word.utf8)) != nil
    }
  }

  static func isZero(_ path: String) throws -> Bool {
    try with(path) { memory in
      memory.bindMemory(to: UInt64.self).allSatisfy { $0 == 0 }
    }
  }
}
