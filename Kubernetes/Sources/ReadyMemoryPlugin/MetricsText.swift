/// Text in Prometheus's exposition format, version 0.0.4.
struct MetricsText {
  static let type = "text/plain; version=0.0.4; charset=utf-8"

  enum Kind: String {
    case gauge, counter
  }

  private(set) var text = ""
  private var name = ""

  /// Begins a metric family.
  mutating func family(_ name: String, _ kind: Kind, _ help: String) {
    self.name = "holdfast_kubernetes_" + name
    text += "# HELP \(self.name) \(help)\n# TYPE \(self.name) \(kind.rawValue)\n"
  }

  /// Adds the only sample of the family.
  mutating func sample(_ value: some CustomStringConvertible) { text += "\(name) \(value)\n" }

  /// Adds a sample of the family. Values of labels are escaped.
  mutating func sample(
    _ labels: KeyValuePairs<String, String>, _ value: some CustomStringConvertible
  ) {
    let pairs = labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
    text += "\(name){\(pairs)} \(value)\n"
  }

  /// Adds text of the same format, whose families are others.
  mutating func append(_ other: String) { text += other }

  static func escaped(_ value: String) -> String {
    var text = ""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\\": text += "\\\\"
      case "\"": text += "\\\""
      case "\n": text += "\\n"
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text
  }
}
