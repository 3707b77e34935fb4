extension ServiceMetrics {
  /// The metrics of several services as one text: each family is in it once.
  ///
  /// - Parameter services: where there are several, each with what its samples get as the label
  ///   `reservoir`.
  static func text(_ services: [(name: String, metrics: ServiceMetrics)]) -> String {
    var order: [Substring] = []
    var families: [Substring: Family] = [:]
    for (name, metrics) in services {
      let label = Label(name: "reservoir", value: MetricsText.escaped(name)[...])
      for var family in metrics.families {
        if services.count > 1 {
          for index in family.samples.indices { family.samples[index].labels.append(label) }
        }
        if let first = families[family.name] {
          // Of services of different versions.
          guard first.type == family.type else { continue }
          families[family.name]?.samples += family.samples
        } else {
          order.append(family.name)
          families[family.name] = family
        }
      }
    }
    return order.compactMap { families[$0]?.text }.joined()
  }

  /// The bytes that the levels want to be ready.
  package var levelBytes: UInt64 {
    samples("holdfast_reservoir_level_files").reduce(0) { sum, sample in
      let size = sample.labels.first { $0.name == "size_bytes" }.flatMap { UInt64($0.value) } ?? 0
      let (product, overflow) = size.multipliedReportingOverflow(by: UInt64(sample.value) ?? 0)
      return overflow ? .max : sum.addingSaturated(product)
    }
  }

  /// The bytes that all users have leased; nil where the service could not read its reservoir.
  package var leasedBytes: UInt64? {
    guard samples("holdfast_reservoir_up").first?.value == "1" else { return nil }
    return samples("holdfast_reservoir_bytes")
      .filter { $0.labels.contains(Label(name: "state", value: "leased")) }
      .reduce(0) { $0.addingSaturated(UInt64($1.value) ?? 0) }
  }

  private func samples(_ name: String) -> [Sample] {
    families.first { $0.name == name }?.samples ?? []
  }
}

extension ServiceMetrics.Family {
  fileprivate var text: String {
    var text = ""
    if let help { text += "# HELP \(name) \(help)\n" }
    if let type { text += "# TYPE \(name) \(type)\n" }
    for sample in samples {
      let pairs = sample.labels.map { "\($0.name)=\"\($0.value)\"" }.joined(separator: ",")
      text += sample.name + (pairs.isEmpty ? "" : "{\(pairs)}") + " \(sample.value)\n"
    }
    return text
  }
}

extension UInt64 {
  func addingSaturated(_ other: UInt64) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
