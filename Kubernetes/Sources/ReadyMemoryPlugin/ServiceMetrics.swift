/// The metrics of a reservoir's service, as its port on loopback has them.
///
/// The plugin passes them on, since no process outside of the pod reaches that port. What is not in
/// the format, or not the service's, is refused as a whole: it would spoil the plugin's own metrics.
package struct ServiceMetrics: Hashable, Sendable {
  struct Label: Hashable {
    var name: Substring
    /// As it is written, with escapes.
    var value: Substring
  }

  struct Sample: Hashable {
    var name: Substring
    var labels: [Label]
    var value: Substring
  }

  struct Family: Hashable {
    var name: Substring
    var help: Substring?
    var type: Substring?
    var samples: [Sample] = []
  }

  private(set) var families: [Family] = []

  /// The prefix of the service's metrics, and that of the plugin's own.
  private static let prefix = "holdfast_"
  private static let ownPrefix = "holdfast_kubernetes_"
  private static let mostSamples = 20_000
  /// Each label is compared with the sample's others.
  private static let mostLabels = 32

  /// Reads the text; nil where it is not the metrics of a service.
  package init?(_ text: String) {
    var names: Set<Substring> = []
    var samples: Set<Sample> = []
    for line in text.split(separator: "\n") {
      guard line.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else { return nil }
      if line.hasPrefix("#") {
        let words = line.split(separator: " ", maxSplits: 3)
        guard words.count >= 3, words[0] == "#", words[1] == "HELP" || words[1] == "TYPE" else {
          continue
        }
        let name = words[2]
        if families.last?.name != name {
          guard Self.isName(name), names.insert(name).inserted else { return nil }
          families.append(Family(name: name))
        }
        guard families[families.count - 1].samples.isEmpty,
          families[families.count - 1].add(words[1], words.count > 3 ? words[3] : "")
        else { return nil }
      } else {
        guard let sample = Self.sample(line), samples.count < Self.mostSamples,
          samples.insert(sample).inserted, families.last?.includes(sample.name) == true
        else { return nil }
        families[families.count - 1].samples.append(sample)
      }
    }
    guard families.contains(where: { $0.name == "holdfast_reservoir_up" }) else { return nil }
  }

  private static func isName(_ text: Substring) -> Bool {
    text.hasPrefix(prefix) && !text.hasPrefix(ownPrefix) && text.utf8.allSatisfy(isWord)
  }

  private static func isWord(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
      true
    default: false
    }
  }

  /// Reads a line such as `name{label="value"} 1`.
  private static func sample(_ line: Substring) -> Sample? {
    guard let end = line.firstIndex(where: { $0 == "{" || $0 == " " }) else { return nil }
    let name = line[..<end]
    guard isName(name) else { return nil }
    var rest = line[end...]
    var labels: [Label] = []
    if rest.hasPrefix("{") {
      rest = rest.dropFirst()
      while !rest.hasPrefix("}") {
        guard labels.count < mostLabels, let label = label(&rest),
          !labels.contains(where: { $0.name == label.name })
        else { return nil }
        labels.append(label)
        if rest.hasPrefix(",") {
          rest = rest.dropFirst()
        } else if !rest.hasPrefix("}") {
          return nil
        }
      }
      rest = rest.dropFirst()
    }
    guard rest.hasPrefix(" ") else { return nil }
    let value = rest.dropFirst()
    guard isNumber(value) else { return nil }
    return Sample(name: name, labels: labels, value: value)
  }

  /// Takes `name="value"` from the front.
  private static func label(_ rest: inout Substring) -> Label? {
    let name = rest.prefix { $0 != "=" }
    rest = rest.dropFirst(name.count)
    guard let first = name.utf8.first, isWord(first), !(0x30...0x39).contains(first),
      name.utf8.allSatisfy(isWord), rest.hasPrefix("=\"")
    else { return nil }
    rest = rest.dropFirst(2)
    var index = rest.startIndex
    while index < rest.endIndex, rest[index] != "\"" {
      if rest[index] == "\\" {
        index = rest.index(after: index)
        guard index < rest.endIndex, "\\\"n".contains(rest[index]) else { return nil }
      }
      index = rest.index(after: index)
    }
    guard index < rest.endIndex else { return nil }
    let value = rest[..<index]
    rest = rest[rest.index(after: index)...]
    return Label(name: name, value: value)
  }

  private static func isNumber(_ text: Substring) -> Bool {
    if ["+Inf", "-Inf", "NaN"].contains(text) { return true }
    return text.utf8.allSatisfy { "0123456789+-.eE".utf8.contains($0) } && Double(text) != nil
  }
}

extension ServiceMetrics.Family {
  /// Adds a `HELP` or `TYPE`; false for a second one.
  fileprivate mutating func add(_ key: Substring, _ text: Substring) -> Bool {
    if key == "HELP" {
      guard help == nil else { return false }
      help = text
      return true
    }
    guard type == nil,
      ["counter", "gauge", "histogram", "summary", "untyped"].contains(text)
    else { return false }
    type = text
    return true
  }

  /// Whether a sample of that name is the family's.
  fileprivate func includes(_ sample: Substring) -> Bool {
    if sample == name { return true }
    guard type == "histogram" || type == "summary", sample.hasPrefix(name) else { return false }
    return ["_bucket", "_sum", "_count"].contains(sample.dropFirst(name.count))
  }
}
