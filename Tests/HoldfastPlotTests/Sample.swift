import HoldfastTestKit

@testable import HoldfastPlot

/// A page with every kind of mark, and the JSON document that its numbers are from.
struct Sample {
  private(set) var page = HTMLPage("Memory for virtual machines: <measured> & compared")
  /// Each list of numbers by its name.
  private(set) var lists: [(name: String, values: [Double])] = []

  var json: String {
    "{"
      + lists.map { "\"\($0.name)\":[\($0.values.map { "\($0)" }.joined(separator: ","))]" }
      .joined(separator: ",") + "}"
  }

  private mutating func data(_ name: String, _ values: [Double]) -> [Datum] {
    lists.append((name, values))
    return values.enumerated().map { Datum($1, key: "\(name).\($0)") }
  }

  init() {
    let strip = self.strip()
    let shares = self.shares()
    let sizes = self.sizes()
    let latencies = self.latencies()
    let bars = self.bars()
    let threads = self.threads()
    let time = self.time()
    let cells = data("cells", [0.001234, 1_073_741_824, 12.5])
    var table = HTMLTable("Times", columns: ["way", "time", "memory", "share", "a long note"])
    table.add(
      "mlock",
      [
        .number(cells[0], .seconds), .number(cells[1], .bytes), .number(cells[2], .percent),
        .text("a sentence that is long enough to need more room than a telephone has for it"),
      ])
    table.add(
      "none & <such>", [.missing("no KVM"), .missing(""), .missing(""), .text("x")])
    page.introduction = [
      .paragraph([
        .text("A page with "), .strong("each"), .text(" kind of mark; the first took "),
        .number(cells[0], .seconds), .text(", see "), .link("the sizes", to: "#sizes"), .text("."),
      ])
    ]
    page.sections = [
      HTMLPage.Section("Rows", [.picture(strip, caption: [.text("Eleven runs.")]), .table(table)]),
      HTMLPage.Section("Shares", [.picture(shares)]),
      HTMLPage.Section("Sizes", name: "sizes", [.picture(sizes), .picture(threads)]),
      HTMLPage.Section("Latencies", [.picture(latencies), .picture(bars), .picture(time)]),
      HTMLPage.Section(
        "Commands",
        [
          .lines(
            "holdfast bench wire --size 1G --runs 11\n" + String(repeating: "long ", count: 40))
        ]
      ),
    ]
  }

  private mutating func strip() -> StripPlot {
    var generator = SeededGenerator(seed: 1)
    let names = [
      "Holdfast: a lease of ready memory", "Holdfast: wiring an arena of huge pages of 1 GiB",
      "QEMU: memory-backend-memfd with prealloc=on and sixteen threads, as libvirt starts it",
      "mlock(2)", "Firecracker, first access to each page",
    ]
    var rows: [StripPlot.Row] = []
    for (index, name) in names.enumerated() {
      let center = [20e-6, 0.4e-3, 0.11, 0.35, 0.9][index]
      var values = (0..<11).map { _ in
        center * (0.8 + 0.4 * Double(generator.next() % 1000) / 1000)
      }
      if index == 3 { values = [Double](repeating: 0.35, count: 11) }
      let runs = data("runs\(index)", values)
      let median = data("median\(index)", [values.sorted()[5]])[0]
      let floor = index == 0 || index == 4 ? nil : data("floor\(index)", [center * 0.5])[0]
      rows.append(
        StripPlot.Row(
          name, group: index < 2 ? "Holdfast" : "Others", style: SeriesStyle(index < 2 ? 0 : 1),
          runs: runs, median: median, floor: floor))
    }
    rows.append(StripPlot.Row("Cloud Hypervisor", group: "Others", note: "not installed here"))
    let published = data("published", [0.052, 0.15])
    return StripPlot(
      "Time from request to wired memory, 1 GiB",
      axis: Axis("time, logarithmic", .seconds, .logarithmic), rows: rows,
      families: [
        .init("a run of Holdfast", SeriesStyle(0)), .init("a run of another", SeriesStyle(1)),
      ],
      references: [
        .init("published by the authors of a paper in 2023", published[0]),
        .init("published, another machine", published[1]),
      ], floorName: "floor: the kernel alone")
  }

  private mutating func shares() -> StripPlot {
    let parts = ["allocate", "zero", "map", "register with the kernel"]
    let rows = ["lease", "wire", "fault by fault"].enumerated().map { index, name in
      let lengths = data("parts\(index)", [0.01, 0.08, 0.02, 0.03].map { $0 * Double(index + 1) })
      let ends = data("ends\(index)", [0.13, 0.16].map { $0 * Double(index + 1) })
      return StripPlot.Row(
        name, interval: ends,
        parts: zip(parts, lengths).enumerated().map {
          .init($1.0, SVGColor.series[$0], $1.1)
        })
    }
    return StripPlot("Where the time goes", axis: Axis("time", .seconds), rows: rows)
  }

  private mutating func sizes() -> Chart {
    let bytes = (0..<8).map { Double(UInt64(64 << 20) << UInt64($0)) }
    let series = (0..<8).map { index in
      let values = data("size\(index)", bytes.map { $0 / 1e9 * Double(index + 1) * 0.1 })
      return Chart.Series(
        "way number \(index)", .dottedLine, SeriesStyle(index),
        points: zip(bytes, values).enumerated().map { place, point in
          place == 3 && index == 2
            ? .init(x: point.0, y: nil) : .init(x: point.0, y: point.1)
        })
    }
    let published = data("publishedSize", [0.3, 0.29])
    return Chart(
      "Time by size",
      panels: [
        Chart.Panel(
          x: Axis("size of the guest", .bytes, .logarithmic),
          y: Axis("time, logarithmic", .seconds, .logarithmic), series: series,
          references: [
            .init("published for 8 GiB", published[0]), .init("and by another", published[1]),
          ], height: 300)
      ])
  }

  private mutating func threads() -> Chart {
    let threads = [1.0, 2, 4, 8, 16]
    let rates = data("rates", [6, 11.5, 20, 26, 27].map { $0 * 1_073_741_824 })
    let low = data("ratesLow", rates.map { $0.value * 0.9 })
    let high = data("ratesHigh", rates.map { $0.value * 1.1 })
    let series = Chart.Series(
      "rate", .dottedLine, SeriesStyle(4),
      points: threads.indices.map {
        .init(x: threads[$0], y: rates[$0], low: low[$0], high: high[$0])
      })
    return Chart(
      "Rate by threads, with the range of the runs",
      panels: [
        Chart.Panel(x: Axis("threads"), y: Axis("zeroed", .bytesPerSecond), series: [series])
      ])
  }

  private mutating func latencies() -> Chart {
    // From 1 us on, two for each doubling.
    let edges = (0...24).map { index in
      let power = Double(sign: .plus, exponent: index / 2, significand: 1)
      return 1e-6 * power * (index % 2 == 0 ? 1 : 1.5)
    }
    let numbers = (0..<24).map { index -> Double in
      let number = 1 + index * 37 % 90
      return Double(index < 12 ? number * 40 : number)
    }
    let counts = data("counts", numbers)
    let points = counts.indices.map { index in
      Chart.Point(x: edges[index], y: counts[index], extent: edges[index]...edges[index + 1])
    }
    let histogram = Chart.Series("faults", .bar, SeriesStyle(0), points: points)
    return Chart(
      "Latency of page faults",
      panels: [
        Chart.Panel(
          x: Axis("latency", .seconds, .logarithmic), y: Axis("faults", .count),
          series: [histogram])
      ])
  }

  private mutating func bars() -> Chart {
    let names = [
      "lease", "wire", "populate-with-a-long-word", "QEMU with a long name of many words",
    ]
    let a = data("barA", [1, 2, 3, 2.5])
    let b = data("barB", [1.5, 2.5, 3.5, 3])
    let dots = data("barDots", [2, 2, 2, 2, 2.1])
    func points(_ values: [Datum]) -> [Chart.Point] {
      values.enumerated().map { .init(x: Double($0), y: $1) }
    }
    return Chart(
      "Bars by category",
      panels: [
        Chart.Panel(
          x: Axis("way", .plain, .categories(names)), y: Axis("times the floor", .factor),
          series: [
            Chart.Series("first access", .bar, SeriesStyle(1), points: points(a)),
            Chart.Series("second access", .bar, SeriesStyle(5), points: points(b)),
            Chart.Series("runs", .dots, SeriesStyle(.ink), points: dots.map { .init(x: 1, y: $0) }),
          ])
      ])
  }

  private mutating func time() -> Chart {
    let times = (0..<40).map(Double.init)
    let host = data("host", [64])[0]
    func series(
      _ name: String, _ kind: Chart.Series.Kind, _ style: SeriesStyle, _ values: [Double?]
    ) -> Chart.Series { Chart.Series(name, kind, style, x: times, values: values) }
    let gaps = times.map { $0 > 10 && $0 < 15 ? nil : 20 + $0 }
    return Chart(
      "Over time",
      panels: [
        Chart.Panel(
          "A step, an area and a gap", x: Axis("time, hours", low: 0), y: Axis("GiB", high: 64),
          series: [
            series("used", .area, SeriesStyle(0), gaps),
            series("leased", .step, SeriesStyle(2), times.map { ($0 / 5).rounded(.down) * 6 }),
          ], references: [.init("of the host", host)]),
        Chart.Panel(
          "Shares", x: Axis("time, hours", low: 0), y: Axis("% of bytes", high: 100),
          series: [
            series("1 GiB", .stackedBar, SeriesStyle(.blue), gaps),
            series("2 MiB", .stackedBar, SeriesStyle(.lightBlue), gaps.map { $0.map { 100 - $0 } }),
            series("zeroed", .mark, SeriesStyle(.ink), gaps.map { $0.map { $0 / 2 } }),
          ]),
      ])
  }
}
