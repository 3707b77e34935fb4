internal import HoldfastCore
internal import HoldfastReservoir

/// A line of Prometheus's text format, version 0.0.4.
struct ExpositionSample: Hashable {
  var name: String
  var labels: [String: String] = [:]
  var value: Double

  /// The text of the value, which may be a whole number beyond 2^53.
  var number: String

  /// Reads a sample without a timestamp; nil for any other line.
  init?(_ line: Substring) {
    let bytes = Array(line.utf8)
    var position = bytes.firstIndex { !Self.isName($0) } ?? bytes.count
    guard position > 0 else { return nil }
    name = String(decoding: bytes[..<position], as: UTF8.self)
    if position < bytes.count, bytes[position] == UInt8(ascii: "{") {
      position += 1
      while position < bytes.count, bytes[position] != UInt8(ascii: "}") {
        guard let (key, text, end) = Self.label(bytes, position) else { return nil }
        guard labels.updateValue(text, forKey: key) == nil else { return nil }
        position = end
        if position < bytes.count, bytes[position] == UInt8(ascii: ",") { position += 1 }
      }
      position += 1
    }
    guard position < bytes.count, bytes[position] == UInt8(ascii: " ") else { return nil }
    number = String(decoding: bytes[(position + 1)...], as: UTF8.self)
    guard let value = number == "+Inf" ? .infinity : Double(number) else { return nil }
    self.value = value
  }

  private static func isName(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: ":"):
      true
    default: false
    }
  }

  /// Reads `key="text"` at a position, and returns the position after it.
  private static func label(_ bytes: [UInt8], _ start: Int) -> (String, String, Int)? {
    var position = start
    while position < bytes.count, isName(bytes[position]) { position += 1 }
    let key = String(decoding: bytes[start..<position], as: UTF8.self)
    guard !key.isEmpty, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "="),
      bytes[position + 1] == UInt8(ascii: "\"")
    else { return nil }
    position += 2
    var text: [UInt8] = []
    while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
      if bytes[position] == UInt8(ascii: "\\") {
        position += 1
        guard position < bytes.count else { return nil }
        text.append(bytes[position] == UInt8(ascii: "n") ? UInt8(ascii: "\n") : bytes[position])
      } else {
        text.append(bytes[position])
      }
      position += 1
    }
    guard position < bytes.count else { return nil }
    return (key, String(decoding: text, as: UTF8.self), position + 1)
  }
}

extension ServiceReading {
  /// Reads the text of `/metrics` or of the text file; samples that a view does not use, such as
  /// those of a later version, are skipped.
  ///
  /// - Returns: nil where the text is not that of a service of a reservoir.
  /// - Complexity: O(text)
  package init?(_ text: String) {
    self.init()
    var hasUp = false
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      guard let sample = ExpositionSample(line) else { return nil }
      guard sample.name.hasPrefix(Exposition.prefix) else { continue }
      let name = String(sample.name.dropFirst(Exposition.prefix.count))
      hasUp = hasUp || name == "up"
      add(name, sample)
    }
    guard hasUp else { return nil }
  }

  private mutating func add(_ name: String, _ sample: ExpositionSample) {
    let whole = UInt64(sample.number) ?? UInt64(exactly: sample.value.rounded()) ?? 0
    switch name {
    case "up": isUp = sample.value == 1
    case "healthy": isHealthy = sample.value == 1
    case "listening": isListening = sample.value == 1
    case "start_time_seconds": started = sample.value.isFinite ? sample.value : nil
    case "pool_free_pages": freePages = whole
    case "level_files", "files":
      guard let size = sample.labels["size_bytes"].flatMap({ UInt64($0) }),
        let count = Int(exactly: min(whole, UInt64(Int32.max)))
      else { return }
      let node = sample.labels["node"].flatMap { UInt32($0) }.map { NodeID($0) }
      if name == "files" {
        add(count, sample.labels["state"], ReservoirStatus.Row(size: ByteCount(size), node: node))
      } else {
        levels.append(.init(count: count, size: ByteCount(size), node: node))
      }
    case "failures_total":
      let operation = sample.labels["operation"] ?? ""
      failures[Failure(operation: operation, code: sample.labels["code"] ?? "")] = whole
    default:
      if let counter = Counter(rawValue: name) {
        counters[counter] = whole
      } else {
        addDuration(name, sample, whole)
      }
    }
  }

  /// Adds a number of files; the metrics of a row follow each other.
  private mutating func add(_ count: Int, _ state: String?, _ row: ReservoirStatus.Row) {
    if rows.last?.size != row.size || rows.last?.node != row.node { rows.append(row) }
    let last = rows.count - 1
    switch state {
    case "ready": rows[last].ready = count
    case "leased": rows[last].leased = count
    case "filling": rows[last].filling = count
    default: break
    }
  }

  private mutating func addDuration(_ name: String, _ sample: ExpositionSample, _ count: UInt64) {
    guard let underscore = name.lastIndex(of: "_"),
      let timed = Timed(rawValue: String(name[..<underscore]))
    else { return }
    switch name[underscore...] {
    case "_count": durations[timed, default: .init()].count = count
    case "_sum": durations[timed, default: .init()].sum = sample.value
    case "_bucket":
      // The bound +Inf has the number of all, which is the count.
      guard let bound = sample.labels["le"].flatMap({ Double($0) }), bound.isFinite else { return }
      durations[timed, default: .init()].bounds.append(bound)
      durations[timed, default: .init()].counts.append(count)
    default: break
    }
  }
}
