/// Text in the exposition format of Prometheus, version 0.0.4.
struct Exposition {
  enum Kind: String {
    case gauge, counter, histogram
  }

  typealias Labels = KeyValuePairs<String, String>

  /// What the names of all metrics begin with.
  static let prefix = "holdfast_reservoir_"
  private(set) var text = ""

  /// Begins a metric family.
  mutating func family(_ name: String, _ kind: Kind, _ help: String) {
    text += "# HELP \(Exposition.prefix)\(name) \(help)\n"
    text += "# TYPE \(Exposition.prefix)\(name) \(kind.rawValue)\n"
  }

  mutating func sample(_ name: String, _ labels: Labels, _ value: Double) {
    // A whole number is written without a fraction, however large.
    let number = value == value.rounded() && abs(value) < 9e15 ? "\(Int64(value))" : "\(value)"
    text += Exposition.prefix + name + Exposition.written(labels) + " " + number + "\n"
  }

  mutating func sample(_ name: String, _ labels: Labels, _ value: UInt64) {
    text += Exposition.prefix + name + Exposition.written(labels) + " \(value)\n"
  }

  mutating func sample(_ name: String, _ value: Double) { sample(name, [:], value) }

  mutating func sample(_ name: String, _ value: UInt64) { sample(name, [:], value) }

  /// Adds a family with one histogram.
  mutating func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
    family(name, .histogram, help)
    var sum: UInt64 = 0
    for (bound, count) in zip(histogram.bounds, histogram.counts) {
      sum += count
      sample(name + "_bucket", ["le": "\(bound)"], sum)
    }
    sample(name + "_bucket", ["le": "+Inf"], histogram.count)
    sample(name + "_sum", histogram.sum)
    sample(name + "_count", histogram.count)
  }

  private static func written(_ labels: Labels) -> String {
    if labels.isEmpty { return "" }
    return "{" + labels.map { "\($0)=\"\(escaped($1))\"" }.joined(separator: ",") + "}"
  }

  private static func escaped(_ value: String) -> String {
    var text = ""
    for character in value {
      switch character {
      case "\\": text += "\\\\"
      case "\"": text += "\\\""
      case "\n": text += "\\n"
      default: text.append(character)
      }
    }
    return text
  }
}
