internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastSimulation

extension SimulateResult {
  /// The result for people: a sentence, what happened, fragmentation, and the times of operations.
  var text: String {
    let rows: [(label: String, value: String)] = [
      ("guests", guestList),
      ("refused", refused),
      ("wired", wired),
      ("1 GiB blocks", largestBlocks),
      ("faults", faults),
      ("scrubbed", amount(figures.scrubbedBytes)),
      (
        "used",
        "\(amount(meanUsed)) on average, \(amount(mostUsed)) at most"
      ),
      ("reserved", reservationList),
      ("metadata", metadataList),
    ]
    return headline + "\n\n" + labeled(rows) + "\n" + table(fragmentationRows) + "\n"
      + table(timeRows) + "\n" + (comparison.map { text(of: $0) + "\n" } ?? "") + ending + "\n"
  }

  private var headline: String {
    let guests = options.guests.map { ", \(grouped(UInt64($0))) guests at once" } ?? ""
    let source = trace.map { "the trace \($0)" } ?? "\(options.pattern.rawValue) arrivals"
    return "\(options.memory) of memory\(guests), \(source), "
      + "\(time(result.duration)) simulated (seed \(options.seed))"
  }

  private func time(_ seconds: Double) -> String {
    let (unit, length) =
      seconds >= 172_800 ? ("days", 86_400.0) : seconds >= 7200 ? ("hours", 3600) : ("minutes", 60)
    return decimal(seconds / length, places: 1) + " " + unit
  }

  func amount(_ bytes: ByteCount) -> String {
    bytes == .zero ? "0" : HostReport.rounded(bytes)
  }

  func count(_ number: Int) -> String { grouped(UInt64(number)) }

  func percent(_ share: Double?) -> String {
    guard let share else { return "-" }
    // More places, so that nearly none and nearly all do not look like 0 and 100.
    let places = share * 100 < 1 || share * 100 > 99 ? 3 : 1
    return decimal(share * 100, places: share == 0 || share == 1 ? 0 : places) + " %"
  }

  private var guestList: String {
    let guests = figures.guests
    return
      "\(count(guests.arrived)) arrived: \(count(guests.wired)) wired, "
      + "\(count(guests.paged)) paged, "
      + "\(count(guests.forked)) forks; at most \(count(guests.mostAtOnce)) at once"
  }

  private var refused: String {
    let guests = figures.guests
    return guests.refused == 0
      ? "none" : "\(count(guests.refused)) for lack of memory, \(amount(guests.refusedBytes))"
  }

  private var wired: String {
    let wires = figures.wires
    guard wires.count > 0 else { return "none" }
    let list = wires.bytesByLevel.enumerated().reversed().map { level, bytes in
      percent(Double(bytes.rawValue) / Double(wires.bytes.rawValue))
        + " in \(Geometry.small.size(ofLevel: level))"
    }
    return "\(amount(wires.bytes)): \(list.joined(separator: ", ")) pages; "
      + "\(percent(wires.zeroedShare)) zeroed ahead"
  }

  private var faults: String {
    let shortages = figures.shortages
    let shortage = shortages == 0 ? "" : "; \(count(shortages)) times no frame was free"
    return "\(grouped(figures.faults)) on pages of 4 KiB" + shortage
  }

  private var reservationList: String {
    let reservations = figures.reservations
    return "\(count(reservations.reserved)) superpages for base pages: "
      + "\(count(reservations.filled)) filled, "
      + "\(count(reservations.broken)) broken for lack of memory, "
      + "\(count(reservations.emptied)) empty again"
  }

  private var metadataList: String {
    let peak = figures.peakMetadata
    return "\(amount(peak.total)) at most, "
      + "\(decimal(metadataShare * 100, places: 4)) % of the memory: "
      + "allocator \(amount(peak.allocator)), objects \(amount(peak.objects)), "
      + "maps \(amount(peak.maps))"
  }

  private var fragmentationRows: [[String]] {
    [["free memory in blocks", "mean", "most", "at the end"]]
      + [("below 2 MiB", fragmentation.below2MiB), ("below 1 GiB", fragmentation.below1GiB)].map {
        [$0.0, percent($0.1.mean), percent($0.1.most), percent($0.1.last)]
      }
  }

  private var timeRows: [[String]] {
    [["operation", "count", "mean", "median", "99 %", "longest"]]
      + HoldfastSimulation.Operation.allCases.compactMap { operation in
        guard let times = result.times[operation], times.count > 0 else { return nil }
        let rounded = [times.quantile(0.5), times.quantile(0.99), times.longest].map { $0 ?? 0 }
        return [operation.rawValue, grouped(times.count)]
          + ([times.mean ?? 0] + rounded.map { Double($0) }).map { formatted(.seconds($0 / 1e9)) }
      }
  }

  private var ending: String {
    result.isAllFree ? "After all guests had left, every frame was free." : "Frames were lost."
  }
}
