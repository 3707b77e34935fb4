internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastPlot

// The sections of the page. A section without parts is left out.

extension CompletePage {
  private func isMeasured(_ indices: [Int]) -> Bool {
    indices.contains { !report.ways[$0].seconds.isEmpty }
  }

  var wiring: HTMLPage.Section {
    let ways = indices(.wire)
    guard isMeasured(ways) else { return HTMLPage.Section("", []) }
    return HTMLPage.Section(
      "From the request to wired memory", name: "wire",
      [
        .paragraph([
          .text(
            "Each dot is one run, the bar is the median. A floor is the least that the kernel takes "
              + "for the same work, measured in C in the same runs. The dashed lines are figures that "
              + "the FreeBSD review published for its own machine; they were not measured here.")
        ]),
        .paragraph([
          .text(
            "Zeroed ahead: the memory was zeroed before the request, as a reservoir and a scrubber "
              + "have it. Zeroed while it waits: another guest had the memory before. The other ways "
              + "allocate new memory, which the kernel zeroes. In a window: the guest has page "
              + "tables of its own, for faults, forks and protection.")
        ]),
        .picture(wiringPicture), table(ways),
      ])
  }

  private var wiringPicture: StripPlot {
    let references = CompleteReport.published.enumerated().map { index, figure in
      Chart.Reference(
        figure.name + ", 10 GB, another machine",
        Datum(figure.seconds, key: "published.\(index).seconds"))
    }
    return strip("Time to wired memory, by way", "time", indices(.wire), references: references)
  }

  var sizes: HTMLPage.Section {
    lines(
      .size, "Time against size", "size",
      "How the time grows with the guest's memory. A slope of 1 is a time that grows with the size, "
        + "0 one that does not grow.",
      sizeAxis)
  }

  private var sizeAxis: Axis { Axis("guest memory", .bytes, .logarithmic) }

  var threads: HTMLPage.Section {
    lines(
      .threads, "Time against threads", "threads",
      "How the time falls with the number of threads. A slope of -1 is perfect.",
      threadAxis)
  }

  private var threadAxis: Axis {
    Axis("threads", .count, .linear, low: 0, step: report.threads <= 8 ? 1 : nil)
  }

  private func series(_ group: MeasuredWay.Group) -> [Chart.Series] {
    var series: [Chart.Series] = []
    for line in report.lines where line.group == group {
      let points = line.ways.compactMap { index -> Chart.Point? in
        let way = report.ways[index]
        guard let median = way.median, let least = way.seconds.min(), let most = way.seconds.max()
        else { return nil }
        return Chart.Point(
          x: CompleteReport.place(way), y: datum(index, "median", median),
          low: datum(index, "smallest", least), high: datum(index, "largest", most))
      }
      guard !points.isEmpty else { continue }
      let first = report.ways[line.ways[0]]
      series.append(
        Chart.Series(
          "\(first.name), \(CompletePage.words(first.backing) ?? "")", .dottedLine,
          SeriesStyle(series.count), points: points))
    }
    return series
  }

  private func chart(_ title: String, _ group: MeasuredWay.Group, _ axis: Axis) -> Chart {
    Chart(
      title,
      panels: [
        Chart.Panel(
          x: axis, y: Axis("time", .seconds, .logarithmic), series: series(group), height: 320)
      ])
  }

  /// The pictures that documents show, with the names of their files. Those without numbers are left
  /// out.
  var pictures: [(name: String, picture: any Picture)] {
    let all: [(name: String, group: MeasuredWay.Group, picture: any Picture)] = [
      ("wire", .wire, wiringPicture),
      ("size", .size, chart("Time against size", .size, sizeAxis)),
      ("threads", .threads, chart("Time against threads", .threads, threadAxis)),
      (
        "faults", .fault,
        strip("Time of an access to an absent page", "time", indices(.fault))
      ),
      ("forks", .fork, strip("Time of a fork, all memory resident", "time", indices(.fork))),
      ("qemu", .qemu, strip("Time from QEMU's start to its end", "time", indices(.qemu))),
      ("boot", .boot, bootPicture),
    ]
    return all.filter { isMeasured(indices($0.group)) }.map { ($0.name, $0.picture) }
  }

  private func lines(
    _ group: MeasuredWay.Group, _ title: String, _ name: String, _ words: String, _ axis: Axis
  ) -> HTMLPage.Section {
    guard isMeasured(indices(group)) else { return HTMLPage.Section("", []) }
    var table = HTMLTable(columns: ["way", "memory", "slope"])
    for (number, line) in report.lines.enumerated() where line.group == group {
      let first = report.ways[line.ways[0]]
      guard line.ways.contains(where: { report.ways[$0].median != nil }) else { continue }
      table.add(
        first.name,
        [
          .text(CompletePage.words(first.backing) ?? ""),
          report.slopes[number].slope.map {
            .number(Datum($0, key: "slopes.\(number).slope"), .plain)
          } ?? .missing("one point"),
        ])
    }
    return HTMLPage.Section(
      title, name: name,
      [
        .paragraph([.text(words)]),
        .picture(
          chart(title, group, axis),
          caption: [.text("Medians; the error bars are from the shortest to the longest run.")]),
        .table(table),
      ])
  }

  var superpages: HTMLPage.Section {
    let ways = indices(.wire).filter { report.ways[$0].secondsPerSuperpage != nil }
    guard isMeasured(ways) else { return HTMLPage.Section("", []) }
    return HTMLPage.Section(
      "What 2 MiB cost", name: "superpages",
      [
        .paragraph([.text("The medians above, for each 2 MiB of the guest's memory.")]),
        .picture(
          strip("Time for each 2 MiB, by way", "time for 2 MiB", ways) { index in
            report.ways[index].secondsPerSuperpage.map {
              datum(index, "secondsPerSuperpage", $0)
            }
          }),
      ])
  }

  var faults: HTMLPage.Section {
    let ways = indices(.fault)
    guard isMeasured(ways) else { return HTMLPage.Section("", []) }
    var parts: [HTMLPage.Part] = [
      .paragraph([
        .text(
          "The time of an access to an absent page: of 2 MiB by a thread of this process, and of "
            + "4 KiB by a guest in KVM, whose fault a thread or the processor itself serves.")
      ])
    ]
    let all = report.faults
    if !all.isEmpty {
      let series = all.enumerated().map { number, faults in
        Chart.Series(
          faults.server == FaultLatencies.Server.handlerInC.rawValue
            ? "a handler in C" : "Holdfast's handler threads",
          .step, SeriesStyle(number == 0 ? .orange : .blue, dashes: number == 0 ? "7 4" : nil),
          points: faults.bins.enumerated().map { index, bin in
            Chart.Point(
              x: bin.from,
              y: Datum(Double(bin.count), key: "faults.\(number).bins.\(index).count"),
              extent: bin.from...bin.to)
          })
      }
      parts.append(
        .picture(
          Chart(
            "Accesses to absent pages of 2 MiB, by the time they took",
            panels: [
              Chart.Panel(
                x: Axis("time of an access", .seconds, .logarithmic),
                y: Axis("accesses", .count), series: series, height: 240)
            ])))
      var table = HTMLTable(columns: ["served by", "50 %", "90 %", "99 %", "longest"])
      for (number, faults) in all.enumerated() {
        table.add(
          faults.server,
          [(50, "p50"), (90, "p90"), (99, "p99"), (100, "largest")].map { percent, key in
            faults.percentile(percent).map {
              .number(Datum($0, key: "faults.\(number).\(key)"), .seconds)
            } ?? .missing("")
          })
      }
      parts.append(.table(table))
    }
    parts.append(.picture(strip("Time of an access to an absent page", "time", ways)))
    parts.append(self.table(ways))
    return HTMLPage.Section("Page faults", name: "faults", parts)
  }

  var forks: HTMLPage.Section {
    let ways = indices(.fork)
    var parts: [HTMLPage.Part] = []
    if isMeasured(ways) {
      parts += [
        .paragraph([
          .text("The fork of a guest, and fork(2) of a process that has as much private memory.")
        ]),
        .picture(strip("Time of a fork, all memory resident", "time", ways)), table(ways),
      ]
    }
    let clones = report.clones.enumerated().filter { $1.copied != nil }
    if !clones.isEmpty {
      let rows = clones.flatMap { index, clone -> [StripPlot.Row] in
        let memory = CompletePage.words(clone.backing) ?? clone.backing
        let original = Datum(Double(clone.memory.rawValue), key: "clones.\(index).memoryBytes")
        return [
          StripPlot.Row(
            "an original and its \(clone.clones) clones", group: memory,
            parts: [
              StripPlot.Part("shared", .blue, original),
              StripPlot.Part(
                "copied", .orange,
                Datum(Double(clone.copied?.rawValue ?? 0), key: "clones.\(index).copiedBytes")),
            ]),
          StripPlot.Row(
            "\(clone.clones) separate guests",
            parts: [
              StripPlot.Part(
                "separate", .faint,
                Datum(Double(clone.separate.rawValue), key: "clones.\(index).separateBytes"))
            ]),
        ]
      }
      let written = clones[0].1.written
      parts += [
        .paragraph([
          .text("What clones take, each of which writes to "),
          .number(
            Datum(Double(written.rawValue), key: "clones.\(clones[0].0).writtenBytes"), .bytes),
          .text(
            " in pages of 4 KiB, spread over an eighth of its memory. On larger pages a fork is "
              + "quicker, and each write copies more."),
        ]),
        .picture(
          StripPlot("Memory of clones", axis: Axis("memory", .bytes, .linear, low: 0), rows: rows)),
      ]
    }
    return HTMLPage.Section("Forks and clones", name: "forks", parts)
  }

  var qemu: HTMLPage.Section {
    let ways = indices(.qemu)
    guard isMeasured(ways) else { return HTMLPage.Section("", []) }
    return HTMLPage.Section(
      "QEMU", name: "qemu",
      [
        .paragraph([
          .text(
            "From the start of QEMU to its end, with a machine that is stopped before its first "
              + "instruction: on memory that QEMU populates itself, and on memory that is leased "
              + "from a reservoir, the lease included.")
        ]),
        .picture(strip("Time from QEMU's start to its end", "time", ways)), table(ways),
      ])
  }

  var program: HTMLPage.Section {
    let ways = indices(.program)
    guard isMeasured(ways) else { return HTMLPage.Section("", []) }
    var words: [HTMLPage.Inline] = [
      .text("A lease is measured from the request to an open file of ready memory.")
    ]
    if let peak = report.programPeak {
      words += [
        .text(" The program had at most "),
        .number(Datum(Double(peak.rawValue), key: "programPeakBytes"), .bytes),
        .text(" resident to print its version."),
      ]
    }
    return HTMLPage.Section(
      "Leases, and the program's start", name: "program",
      [
        .paragraph(words), .picture(strip("Time of leases and of starts", "time", ways)),
        table(ways),
      ])
  }
}
