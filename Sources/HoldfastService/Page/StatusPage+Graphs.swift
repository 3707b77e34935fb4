internal import HoldfastCore
internal import HoldfastPlot

extension StatusPage {
  /// The samples of the last hour as panels below each other.
  var graphs: HTMLPage.Part {
    // A clock that was set makes some of them older, or later.
    let samples = history.samples.filter { (-3600...0).contains($0.time - time) }
    guard !samples.isEmpty else {
      return .paragraph([.text("There is no sample yet: one is taken every ten seconds.")])
    }
    let x = samples.map { ($0.time - time) / 60 }
    return .picture(
      Chart(
        "",
        panels: [
          readyFiles(samples, x), memory(samples, x), leases(samples, x), leaseTimes(samples, x),
          work(samples, x),
        ]))
  }

  private func panel(
    _ title: String, _ y: Axis, _ series: [Chart.Series]
  ) -> Chart.Panel {
    Chart.Panel(
      title, x: Axis("minutes before now", low: -60, high: 0, step: 10), y: y, series: series,
      height: 90)
  }

  private func readyFiles(_ samples: [History.Sample], _ x: [Double]) -> Chart.Panel {
    let levels = reading.levels.prefix(History.mostLevels)
    let series = levels.enumerated().map { index, level in
      let values: [Double?] = samples.map { sample in
        guard sample.ready.count > index, sample.wanted[index] > 0 else { return nil }
        return 100 * Double(sample.ready[index]) / Double(sample.wanted[index])
      }
      return Chart.Series(
        "\(level.count)x\(level)", .line, SeriesStyle(index), x: x, values: values)
    }
    let more = reading.levels.count - series.count
    return panel(
      "Ready files of each level" + (more > 0 ? ", the first \(series.count) of them" : ""),
      Axis("", .percent, low: 0, high: 100), series)
  }

  private func memory(_ samples: [History.Sample], _ x: [Double]) -> Chart.Panel {
    let kinds: [(String, KeyPath<History.Sample, UInt64>, SeriesStyle)] = [
      ("ready", \.readyBytes, SeriesStyle(.green)), ("leased", \.leasedBytes, SeriesStyle(.blue)),
      ("being filled", \.fillingBytes, SeriesStyle(.orange, dashes: SeriesStyle.dashed)),
    ]
    return panel(
      "Memory", Axis("", .bytes, low: 0),
      kinds.map { name, key, style in
        Chart.Series(
          name, .line, style, x: x,
          values: samples.map { Double($0[keyPath: key]) })
      })
  }

  private func leases(_ samples: [History.Sample], _ x: [Double]) -> Chart.Panel {
    panel(
      "Each second", Axis("", .plain, low: 0),
      [
        Chart.Series(
          "leases", .line, SeriesStyle(.blue), x: x,
          values: samples.map { Self.rate($0.leases, $0) }),
        Chart.Series(
          "failures", .line, SeriesStyle(.orange, dashes: SeriesStyle.dashed), x: x,
          values: samples.map { Self.rate($0.failures, $0) }),
      ])
  }

  private func leaseTimes(_ samples: [History.Sample], _ x: [Double]) -> Chart.Panel {
    panel(
      "Duration of leases, without waits, up to", Axis("", .seconds, .logarithmic),
      [
        Chart.Series(
          "half of them", .dots, SeriesStyle(.blue), x: x, values: samples.map(\.leaseP50Seconds)),
        Chart.Series(
          "99 of 100", .dots, SeriesStyle(.orange, shape: .diamond), x: x,
          values: samples.map(\.leaseP99Seconds)),
      ])
  }

  private func work(_ samples: [History.Sample], _ x: [Double]) -> Chart.Panel {
    panel(
      "Memory filled and collected", Axis("", .bytesPerSecond, low: 0),
      [
        Chart.Series(
          "filled", .line, SeriesStyle(.green), x: x,
          values: samples.map { Self.rate($0.filledBytes, $0) }),
        Chart.Series(
          "collected", .line, SeriesStyle(.pink, dashes: SeriesStyle.dashed), x: x,
          values: samples.map { Self.rate($0.collectedBytes, $0) }),
      ])
  }

  private static func rate(_ count: UInt64, _ sample: History.Sample) -> Double? {
    sample.seconds > 0 ? Double(count) / sample.seconds : nil
  }
}
