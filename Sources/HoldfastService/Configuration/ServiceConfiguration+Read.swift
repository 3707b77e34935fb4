internal import HoldfastCore
internal import HoldfastReservoir
internal import SystemPackage

extension ServiceConfiguration {
  /// Reads a file. Unknown sections and keys, values that cannot be and repetitions are errors.
  public init(file: String) throws(ConfigurationError) {
    let text = try TextFile.read(file)
    try self.init(text, file: file)
  }

  /// Reads a text. `file` is the name that errors tell.
  public init(_ text: String, file: String) throws(ConfigurationError) {
    let sections = try INIFile(text, file: file).sections
    var seen: [String: Int] = [:]
    for section in sections {
      func fail(_ reason: String) -> ConfigurationError {
        ConfigurationError(file: file, line: section.line, reason: reason)
      }
      if section.name == "level" {
        try readLevel(section, file)
        continue
      }
      if let line = seen.updateValue(section.line, forKey: section.name) {
        throw fail("[\(section.name)] was in line \(line) already")
      }
      guard let keys = ServiceConfiguration.keys[section.name] else {
        throw fail(
          "unknown section [\(section.name)]; there are "
            + (ServiceConfiguration.keys.keys + ["level"]).sorted().joined(separator: ", "))
      }
      for entry in section.entries {
        guard let set = keys[entry.key] else {
          throw ServiceConfiguration.unknown(entry, Array(keys.keys), section.name, file)
        }
        try ServiceConfiguration.reading(entry, file) {
          try set(&self, entry.value)
        }
      }
    }
    guard !levels.isEmpty else {
      throw ConfigurationError(
        file: file, line: nil, reason: "there is no [level]; one with files = 4x10G is needed")
    }
  }

  private mutating func readLevel(
    _ section: INIFile.Section, _ file: String
  ) throws(ConfigurationError) {
    var part: FillPlan.Part?
    var node: NodeID?
    for entry in section.entries {
      switch entry.key {
      case "files":
        part = try ServiceConfiguration.reading(entry, file) {
          try FillPlan.Part(typed: entry.value)
        }
      case "node":
        let number = try ServiceConfiguration.reading(entry, file) {
          try Values.number(entry.value, in: 0...1023)
        }
        node = NodeID(UInt32(number))
      default:
        throw ServiceConfiguration.unknown(entry, ["files", "node"], "level", file)
      }
    }
    func fail(_ reason: String) -> ConfigurationError {
      ConfigurationError(file: file, line: section.line, reason: reason)
    }
    guard let part else { throw fail("[level] needs files, such as files = 4x10G") }
    guard !levels.contains(where: { $0.size == part.size && $0.node == node }) else {
      throw fail("there is a [level] of \(part.size.shortDescription) of that node already")
    }
    levels.append(Level(count: part.count, size: part.size, node: node))
  }

  private static func unknown(
    _ entry: INIFile.Entry, _ known: [String], _ section: String, _ file: String
  ) -> ConfigurationError {
    ConfigurationError(
      file: file, line: entry.line,
      reason: "unknown key '\(entry.key)'; [\(section)] has "
        + known.sorted().joined(separator: ", ")
    )
  }

  private static func reading<Result>(
    _ entry: INIFile.Entry, _ file: String, _ body: () throws -> Result
  ) throws(ConfigurationError) -> Result {
    do {
      return try body()
    } catch {
      throw ConfigurationError(
        file: file, line: entry.line, reason: "\(entry.key) = \(entry.value): \(error)")
    }
  }

  private typealias Setter =
    @Sendable (inout ServiceConfiguration, String) throws -> Void

  /// What each key of each section sets.
  private static let keys: [String: [String: Setter]] = [
    "reservoir": [
      "mount": { $0.mount = try Values.path($1) },
      "interval": { $0.interval = try Values.interval($1) },
      "priority": { $0.priority = try Values.choice($1, Priority.allCases) },
    ],
    "fill": [
      "threads": { $0.fillThreads = try Values.number($1, in: 1...1024) },
      "rate": { $0.rate = try Size($1).bytes },
      "reserve-hugepages": { $0.reservesHugePages = try Values.flag($1) },
    ],
    "collect": [
      "interval": { $0.collectInterval = try Values.interval($1) },
      "threads": { $0.collecting.recycling.threads = try Values.number($1, in: 1...1024) },
      "verify": { $0.collecting.recycling.verifies = try Values.flag($1) },
      "orphans": { $0.collecting.recycles = try Values.choice($1, Orphans.allCases) == .recycle },
      "older-than": { $0.collecting.age = try Values.interval($1) },
    ],
    "metrics": [
      "listen": { $0.listener = try Listener($1) },
      "textfile": { $0.textfile = try Values.path($1) },
      "interval": { $0.textfileInterval = try Values.interval($1) },
    ],
  ]

  private enum Orphans: String, CaseIterable {
    case recycle, release
  }
}

extension ServiceConfiguration.Listener {
  /// Reads `127.0.0.1:9816`, `[::1]:9816` or `localhost:9816`.
  init(_ text: String) throws(Size.Problem) {
    guard let colon = text.lastIndex(of: ":") else { throw Self.problem }
    switch text[..<colon] {
    case "127.0.0.1", "localhost": isVersion6 = false
    case "[::1]": isVersion6 = true
    default: throw Self.problem
    }
    port = UInt16(try Values.number(String(text[text.index(after: colon)...]), in: 0...65535))
  }

  private static let problem = Size.Problem(
    description: "metrics are served on this host alone: 127.0.0.1:<port> or [::1]:<port>")
}
