public import HoldfastCore
internal import HoldfastReservoir
internal import SystemPackage

extension ServiceConfiguration {
  /// Reads a file. Unknown sections and keys, invalid values and repetitions are errors.
  ///
  /// - Throws: ``HoldfastError`` with the code `invalidArgument`, whose reason begins with the file
  ///   and the line: `reservoir.conf:12: unknown key 'levle'`; or `host` where the file cannot be
  ///   read.
  public init(file: String) throws(HoldfastError) {
    let text = try TextFile.read(file)
    try self.init(text, file: file)
  }

  /// Reads a text.
  ///
  /// - Parameters:
  ///   - text: the contents of a configuration file.
  ///   - file: the name of the file, for errors.
  /// - Throws: ``HoldfastError`` with the code `invalidArgument`, as for a file.
  public init(_ text: String, file: String) throws(HoldfastError) {
    let sections = try INIFile(text, file: file).sections
    var seen: [String: Int] = [:]
    for section in sections {
      func fail(_ reason: String) -> HoldfastError {
        HoldfastError(configuration: file, line: section.line, reason)
      }
      if section.name == "level" {
        try readLevel(section, file)
        continue
      }
      if let line = seen.updateValue(section.line, forKey: section.name) {
        throw fail("line \(line) has a section [\(section.name)] already")
      }
      guard let keys = ServiceConfiguration.keys[section.name] else {
        throw fail(
          "unknown section [\(section.name)]; the sections are "
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
      throw HoldfastError(
        configuration: file, line: nil, "it has no [level]; add one, such as [level] files = 4x10G")
    }
  }

  private mutating func readLevel(
    _ section: INIFile.Section, _ file: String
  ) throws(HoldfastError) {
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
          try ConfigurationValue.number(entry.value, in: 0...1023)
        }
        node = NodeID(UInt32(number))
      default:
        throw ServiceConfiguration.unknown(entry, ["files", "node"], "level", file)
      }
    }
    func fail(_ reason: String) -> HoldfastError {
      HoldfastError(configuration: file, line: section.line, reason)
    }
    guard let part else { throw fail("[level] needs files, such as files = 4x10G") }
    guard part.size.isMultiple(of: .kibibytes(4)) else {
      throw fail("\(part.size) is not a multiple of the smallest page size, 4 KiB")
    }
    let bytes = part.size.rawValue.saturatingProduct(UInt64(part.count))
    let all = levels.reduce(ByteCount(bytes)) {
      $0 + ByteCount($1.size.rawValue.saturatingProduct(UInt64($1.count)))
    }
    guard all <= ServiceConfiguration.mostBytes else {
      throw fail("\(part) is more memory than any host has, alone or with the levels before")
    }
    guard !levels.contains(where: { $0.size == part.size && $0.node == node }) else {
      throw fail("another [level] has the same size and node, \(part.size.shortDescription)")
    }
    levels.append(Level(count: part.count, size: part.size, node: node))
  }

  /// The most that all levels together may have: what x86-64 processors can address.
  private static let mostBytes = ByteCount.tebibytes(4096)

  private static func unknown(
    _ entry: INIFile.Entry, _ known: [String], _ section: String, _ file: String
  ) -> HoldfastError {
    HoldfastError(
      configuration: file, line: entry.line,
      "unknown key '\(entry.key)'; the keys of [\(section)] are "
        + known.sorted().joined(separator: ", "))
  }

  private static func reading<Result>(
    _ entry: INIFile.Entry, _ file: String, _ body: () throws -> Result
  ) throws(HoldfastError) -> Result {
    func fail(_ reason: String) -> HoldfastError {
      HoldfastError(
        configuration: file, line: entry.line,
        "\(entry.key) = \(entry.value.printable): " + reason)
    }
    let result: Result
    do {
      result = try body()
    } catch {
      throw fail("\(error)" + INIFile.hint(entry.value))
    }
    // A path may have such characters, but hardly ever has.
    if INIFile.hasComment(entry.value) {
      throw fail("the value seems to end in a comment, which takes a whole line")
    }
    return result
  }

  private typealias Setter =
    @Sendable (inout ServiceConfiguration, String) throws -> Void

  /// The property that each key of each section sets.
  private static let keys: [String: [String: Setter]] = [
    "reservoir": [
      "mount": { $0.mount = try ConfigurationValue.path($1) },
      "interval": { $0.interval = try ConfigurationValue.interval($1) },
      "priority": { $0.priority = try ConfigurationValue.choice($1, Priority.allCases) },
    ],
    "fill": [
      "threads": { $0.fillThreads = try ConfigurationValue.number($1, in: 1...1024) },
      "rate": { $0.rate = try Size($1).bytes },
      "reserve-hugepages": { $0.reservesHugePages = try ConfigurationValue.flag($1) },
    ],
    "collect": [
      "interval": { $0.collectInterval = try ConfigurationValue.interval($1) },
      "threads": {
        $0.collecting.recycling.threads = try ConfigurationValue.number($1, in: 1...1024)
      },
      "verify": { $0.collecting.recycling.verifies = try ConfigurationValue.flag($1) },
      "reuse": {
        // The levels are filled anew, which replaces what is released.
        let reuse = try ConfigurationValue.choice($1, Reuse.allCases)
        $0.collecting.recycling.reuse = reuse == .fresh ? .release : reuse
      },
      "older-than": { $0.collecting.age = try ConfigurationValue.interval($1) },
    ],
    "socket": [
      // The kernel's limit of a socket's address, less the folder by its descriptor.
      "path": { $0.sockets.path = try ConfigurationValue.filePath($1, longest: 80) },
      "group": { $0.sockets.group = try ConfigurationValue.group($1) },
      "mode": { $0.sockets.permissions = try ConfigurationValue.permissions($1) },
    ],
    "limits": [
      "bytes": { $0.limits.bytes = try Size($1).bytes },
      "files": { $0.limits.files = try ConfigurationValue.number($1, in: 0...1_000_000) },
      "requests": { $0.limits.requests = try ConfigurationValue.number($1, in: 1...256) },
    ],
    "metrics": [
      "listen": { $0.listener = try Listener($1) },
      // A new file has a longer name until it is complete.
      "textfile": { $0.textfile = try ConfigurationValue.filePath($1, longest: 230) },
      "interval": { $0.textfileInterval = try ConfigurationValue.interval($1) },
    ],
  ]
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
    port = UInt16(
      try ConfigurationValue.number(String(text[text.index(after: colon)...]), in: 0...65535))
  }

  private static let problem = Size.Problem(
    description: "it is not a loopback address; write 127.0.0.1:<port> or [::1]:<port>")
}
