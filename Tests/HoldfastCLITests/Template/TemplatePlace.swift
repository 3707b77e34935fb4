import Foundation
import HoldfastTestKit
import Testing

/// A folder with templates for the program, with a reservoir where it is on hugetlbfs or tmpfs; and
/// the monitor of Tests/Template, which looks like QEMU. All is removed with the object, and the
/// monitors that are left are killed.
final class TemplatePlace {
  enum Kind: String, CaseIterable {
    case tmpfs, disk, hugetlbfs
  }

  let kind: Kind
  let path: String
  /// A folder for what monitors write, with a copy of the monitor that every user may execute.
  let work: String
  private let reservoir: ReservoirPlace?

  /// - Parameters:
  ///   - files: what is ready in the reservoir; nothing by default on a disk.
  ///   - options: those of `reservoir init`.
  ///   - pages: the 2 MiB pages of a hugetlbfs.
  init(
    _ kind: Kind = .tmpfs, files: String = "4M", options: [String] = [], pages: Int = 32
  ) throws {
    self.kind = kind
    work = FileManager.default.temporaryDirectory.path + "/holdfast-template-\(UUID())"
    try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: true)
    try #require(chmod(work, 0o1777) == 0)
    switch kind {
    case .tmpfs: reservoir = try ReservoirPlace(options: options)
    case .hugetlbfs:
      reservoir = try ReservoirPlace(fileSystem: "hugetlbfs", size: pages << 21, options: options)
    case .disk: reservoir = nil
    }
    // Not in /tmp, which may be a tmpfs.
    path = reservoir?.path ?? "/var/tmp/holdfast-template-\(UUID())"
    if kind == .disk { try #require(mkdir(path, 0o755) == 0) }
    try FileManager.default.copyItem(atPath: Self.stub, toPath: work + "/qemu-stub")
    try FileManager.default.copyItem(atPath: Self.stub, toPath: work + "/other-stub")
    if reservoir != nil, !files.isEmpty { try get("reservoir", "fill", files) }
  }

  deinit {
    for process in monitors() { kill(process, SIGKILL) }
    _ = eventually(within: .seconds(20)) { monitors().isEmpty }
    if kind == .disk { try? FileManager.default.removeItem(atPath: path) }
    try? FileManager.default.removeItem(atPath: work)
  }

  private static let stub: String =
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Template/qemu-stub").path

  /// Why a suite with the monitor is skipped.
  static let needs = "needs python3"

  // MARK: The program

  func arguments(_ words: [String]) -> [String] {
    let command = words[0] == "run" ? 1 : 2
    return words.prefix(command) + ["--mount", path] + words.dropFirst(command)
  }

  func start(_ words: [String], as user: String? = nil) throws -> HoldfastProgram {
    let command = user.map { ["runuser", "-u", $0, "--", HoldfastProgram.path] }
    return try HoldfastProgram(arguments(words), command: command)
  }

  /// Runs a command to its end, which must come soon: one that should fail could run on instead.
  @discardableResult
  func run(_ words: [String], as user: String? = nil) throws -> HoldfastProgram.Outcome {
    let command =
      ["timeout", "--foreground", "-s", "KILL", "120"]
      + (user.map { ["runuser", "-u", $0, "--"] } ?? []) + [HoldfastProgram.path]
    return try HoldfastProgram(arguments(words), command: command).wait()
  }

  /// Runs a command that must succeed and returns its output.
  @discardableResult
  func get(
    _ words: String..., sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> String {
    let outcome = try run(words)
    try #require(
      outcome.status == 0 && outcome.error.isEmpty, "\(words): \(outcome)",
      sourceLocation: sourceLocation)
    return outcome.output
  }

  func json(
    _ words: String..., sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> [String: Any] {
    let outcome = try run(words + ["--format", "json"])
    try #require(outcome.status == 0, "\(words): \(outcome)", sourceLocation: sourceLocation)
    let value = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
    return try #require(value as? [String: Any], sourceLocation: sourceLocation)
  }

  /// The rows of `template list`, such as `base sealed 4194304 2`: its name, state, size, clones.
  func list() throws -> [String] {
    let text = try get("template", "list", "--format", "json")
    let rows = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]]
    return try #require(rows).map { row in
      ["name", "state", "sizeBytes", "clones"].map { key in
        row[key].map { $0 is NSNull ? "-" : "\($0)" } ?? "?"
      }
      .joined(separator: " ")
    }
  }

  /// The rows of `reservoir status`, such as `4M 1 0 0`: ready, leased, filling.
  func rows() throws -> [String] { try reservoir?.rows() ?? [] }

  /// The names in a folder of the reservoir.
  func reservoirNames(_ folder: String) -> [String] { reservoir?.names(folder) ?? [] }

  /// The bytes that the file system uses, where only this object uses it.
  var usedBytes: Int {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { return -1 }
    return Int(status.f_frsize) * Int(status.f_blocks - status.f_bfree)
  }

  // MARK: Monitors

  /// A monitor's words.
  ///
  /// - Parameters:
  ///   - faults: those of the monitor, such as `fail=migrate`.
  ///   - other: whether it is another monitor than QEMU.
  func monitor(
    _ faults: String = "", share: String = "{share}", isOther: Bool = false, options: [String] = []
  ) -> [String] {
    [
      "--", work + (isOther ? "/other-stub" : "/qemu-stub"), "-object",
      "memory-backend-file,id=ram,mem-path={memory},size={size},share=\(share)", "-log",
      work + "/{name}.log",
    ] + (faults.isEmpty ? [] : ["-faults", faults]) + options
  }

  /// The name of a machine's log.
  func machineLog(_ name: String) -> String { name }

  /// Starts a machine, and waits until its monitor is known.
  func create(
    _ name: String = "base", _ words: [String]? = nil, options: [String] = [],
    as user: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> HoldfastProgram {
    // An earlier machine of the name has left one.
    unlink(work + "/\(machineLog(name)).log")
    let program = try start(
      ["template", "create", name, "-m", "4M"] + options + (words ?? monitor()), as: user)
    let isKnown = eventually {
      names("drafts/\(name)").contains { $0.hasPrefix("monitor@") }
        && log(machineLog(name)).contains("starts")
    }
    try #require(isKnown, "\(program.errorSoFar)", sourceLocation: sourceLocation)
    return program
  }

  /// Makes a template.
  func makeTemplate(
    _ name: String = "base", sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let machine = try create(name, sourceLocation: sourceLocation)
    try get("template", "seal", name, sourceLocation: sourceLocation)
    let outcome = try machine.wait()
    try #require(
      outcome.status == 0 && outcome.error.isEmpty, "\(outcome)", sourceLocation: sourceLocation)
  }

  /// Starts clones, and waits until all of them run.
  func clones(
    _ name: String = "vm", count: Int = 1, _ words: [String]? = nil, options: [String] = [],
    as user: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> HoldfastProgram {
    let names = count == 1 ? [name] : (0..<count).map { "\(name)-\($0)" }
    for name in names { unlink(work + "/\(name).log") }
    let program = try start(
      ["run", "--template", "base", "--name", name, "--count", "\(count)"] + options
        + (words ?? monitor()), as: user)
    let isRunning = eventually { names.allSatisfy { log($0).contains("running") } }
    try #require(isRunning, "\(program.errorSoFar)", sourceLocation: sourceLocation)
    return program
  }

  /// The lines of a monitor's log, without the numbers of the processes.
  func log(_ name: String) -> [String] {
    let text = (try? String(contentsOfFile: work + "/\(name).log", encoding: .utf8)) ?? ""
    // The last line may be incomplete.
    var lines: [String] = []
    for whole in text.split(separator: "\n") {
      let line: String = whole.split(separator: " ", maxSplits: 1).dropFirst().joined()
      lines.append(line)
      // Numbers follow some of the words.
      if line.contains(" ") { lines.append(String(line.prefix { $0 != " " })) }
    }
    return lines
  }

  /// Whether a process has let its guest run, by the log of a clone.
  func hasRun(_ process: pid_t, in name: String) -> Bool {
    let text = (try? String(contentsOfFile: work + "/\(name).log", encoding: .utf8)) ?? ""
    return text.contains("\(process) running")
  }

  /// The number that follows a word in the last line of the log that begins with it.
  func number(_ word: String, in name: String) -> Int? {
    log(name).last { $0.hasPrefix(word + " ") }.flatMap { Int($0.split(separator: " ")[1]) }
  }

  /// The monitors of this object that run.
  func monitors() -> [pid_t] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    let (python, program) = (Array("python3\0".utf8), Array((work + "/").utf8))
    return names.compactMap { pid_t($0) }.filter { process in
      // A monitor's program is its third word; Foundation is slow with files of /proc.
      let file = open("/proc/\(process)/cmdline", O_RDONLY | O_CLOEXEC)
      guard file >= 0 else { return false }
      defer { close(file) }
      var bytes = [UInt8](repeating: 0, count: 512)
      let count = read(file, &bytes, bytes.count)
      let words = bytes.prefix(max(0, count)).split(separator: 0)
      return words.count > 2 && words[0].reversed().starts(with: python.dropLast().reversed())
        && words[2].starts(with: program)
    }
  }

  // MARK: Files

  func file(_ name: String) -> String { path + "/holdfast/templates/" + name }

  func names(_ folder: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: file(folder))) ?? []).sorted()
  }

  /// A hash of a file of the template.
  func contents(_ name: String, of template: String = "base") -> Int? {
    let path = file("sealed/\(template)/\(name)")
    // Files on hugetlbfs cannot be read(2) past what is mapped everywhere; a mapping always works.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size > 0 else { return 0 }
    let start = mmap(nil, status.st_size, PROT_READ, MAP_SHARED, descriptor, 0)
    guard let start, start != MAP_FAILED else { return nil }
    defer { munmap(start, status.st_size) }
    var hasher = Hasher()
    hasher.combine(bytes: UnsafeRawBufferPointer(start: start, count: status.st_size))
    return hasher.finalize()
  }

  /// Overwrites a file of the template.
  func overwrite(_ name: String, _ change: (inout Data) -> Void) throws {
    let path = file("sealed/base/\(name)")
    var data = try Data(contentsOf: URL(filePath: path))
    change(&data)
    let handle = try FileHandle(forWritingTo: URL(filePath: path))
    try handle.truncate(atOffset: 0)
    try handle.write(contentsOf: data)
    try handle.close()
  }
}
