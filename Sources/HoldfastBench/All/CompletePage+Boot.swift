internal import HoldfastCore
internal import HoldfastPlot

extension CompletePage {
  var bootPicture: StripPlot {
    strip("Time to the guest's answer", "time from the command", indices(.boot))
  }

  /// A boot in QEMU, and a clone.
  var boot: HTMLPage.Section {
    let ways = indices(.boot)
    guard let result = report.boot, ways.contains(where: { !report.ways[$0].seconds.isEmpty })
    else { return HTMLPage.Section("", []) }
    var words: [HTMLPage.Inline] = [
      .text("A Linux guest of "),
      .number(Datum(Double(result.memory.rawValue), key: "boot.memoryBytes"), .bytes),
      .text(
        " in \(result.version) (\(result.accelerator)): from the start of "),
      .code("holdfast template create"),
      .text(" to the first line that its init prints, and from the start of "),
      .code("holdfast run --template"),
      .text(" to the next line of a clone, which continues where that guest was sealed."),
    ]
    if let seconds = result[.seal].first {
      words += [
        .text(" The seal took "),
        .number(Datum(seconds, key: "boot.sealSeconds"), .seconds), .text(", once."),
      ]
    }
    var parts: [HTMLPage.Part] = [.paragraph(words), .picture(bootPicture)]
    if let speedup = result.speedup {
      parts.append(
        .paragraph([
          .text("In the same run, a boot takes "),
          .number(Datum(speedup.median, key: "boot.speedup"), .factor),
          .text(" as long as a clone (median; "),
          .number(Datum(speedup.smallest, key: "boot.speedupSmallest"), .factor), .text(" to "),
          .number(Datum(speedup.largest, key: "boot.speedupLargest"), .factor), .text(")."),
        ]))
    }
    parts.append(table(ways))
    return HTMLPage.Section("A boot, and a clone", name: "boot", parts)
  }
}
