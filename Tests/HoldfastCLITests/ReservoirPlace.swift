import Foundation
import Testing

/// A folder with a reservoir for the program, removed with the object.
final class ReservoirPlace {
  let path: String
  private let isMounted: Bool

  /// On tmpfs or, with a size, on a separate file system, for root.
  ///
  /// - Parameters:
  ///   - options: those of `reservoir init`.
  ///   - mountOptions: of the file system, each after a comma.
  init(
    fileSystem: String? = nil, size: Int = 0, options: [String] = [], mountOptions: String = ""
  ) throws {
    path = (fileSystem == nil ? "/dev/shm" : "/tmp") + "/holdfast-cli-\(UUID())"
    isMounted = fileSystem != nil
    try #require(mkdir(path, 0o755) == 0 && chmod(path, 0o755) == 0)
    if let fileSystem {
      let pages = fileSystem == "hugetlbfs" ? ",pagesize=2M" : ""
      try #require(
        mount("holdfast-test", path, fileSystem, 0, "size=\(size),mode=0755\(pages)" + mountOptions)
          == 0,
        "\(fileSystem) cannot be mounted: \(errno)")
    }
    let outcome = try run(["reservoir", "init"] + options)
    try #require(outcome.status == 0, "\(outcome)")
  }

  deinit {
    if isMounted { umount2(path, Int32(MNT_DETACH)) }
    try? FileManager.default.removeItem(atPath: path)
  }

  func file(_ name: String) -> String { path + "/holdfast/" + name }

  func names(_ folder: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: file(folder))) ?? []).sorted()
  }

  /// The arguments, with `--mount` inserted after the command.
  func arguments(_ words: [String]) -> [String] {
    let command = words[0] == "run" ? 1 : 2
    return words.prefix(command) + ["--mount", path] + words.dropFirst(command)
  }

  func start(_ words: [String], as user: String? = nil) throws -> HoldfastProgram {
    let command = user.map { ["runuser", "-u", $0, "--", HoldfastProgram.path] }
    return try HoldfastProgram(arguments(words), command: command)
  }

  @discardableResult
  func run(_ words: [String], as user: String? = nil) throws -> HoldfastProgram.Outcome {
    try start(words, as: user).wait()
  }

  /// Runs a command that must succeed and returns its output.
  @discardableResult
  func get(
    _ words: String..., sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> String {
    let outcome = try run(words)
    #expect(
      outcome.status == 0 && outcome.error.isEmpty, "\(outcome)", sourceLocation: sourceLocation)
    return outcome.output
  }

  /// Rows of the status, such as `4M 1 0 0`: ready, leased, filling.
  func rows() throws -> [String] {
    let value = try JSONSerialization.jsonObject(
      with: Data(get("reservoir", "status", "--format", "json").utf8))
    let rows = try #require((value as? [String: Any])?["rows"] as? [[String: Any]])
    return try rows.map { row in
      func number(_ key: String) throws -> Int { try #require(row[key] as? Int) }
      return "\(try number("sizeBytes") >> 20)M \(try number("ready")) \(try number("leased")) "
        + "\(try number("filling"))"
    }
  }
}
