internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastSimulation

extension SimulateResult {
  /// The run for people: a sentence, what happened, fragmentation, and the time of operations.
  var text: String {
    let rows: [(label: String, value: String)] = [
      ("guests", guestList),
      ("refused", refused),
      ("wired", wired),
      ("touched", touched),
      ("scrubbed", amount(memory.scrubbedBytes)),
      (
        "used",
        "\(amount(memory.meanUsedBytes)) on average, \(amount(memory.mostUsedBytes)) at most"
      ),
      ("reserved", reservationList),
      ("metadata", metadataList),
    ]
    let width = rows.map(\.label.count).max() ?? 0
    let list = rows.map { row in
      row.label + String(repeating: " ", count: width - row.label.count + 2) + row.value + "\n"
    }.joined()
    return headline + "\n\n" + list + "\n" + table(fragmentationRows) + "\n" + table(timeRows)
      + "\n" + ending + "\n"
  }

  private var headline: String {
    let guests = options.guests.map { ", \(grouped(UInt64($0))) guests at once" } ?? ""
    let source = options.trace.map { "the trace \($0)" } ?? "\(options.arrivals) arrivals"
    return "\(options.memoryBytes) of memory\(guests), \(source), "
      + "\(time(simulatedSeconds)) simulated (seed \(options.seed))"
  }

  private func time(_ seconds: Double) -> String {
    let (unit, length) =
      seconds >= 172_800 ? ("days", 86_400.0) : seconds >= 7200 ? ("hours", 3600) : ("minutes", 60)
    return decimal(seconds / length, places: 1) + " " + unit
  }

  private func amount(_ bytes: ByteCount) -> String {
    bytes == .zero ? "0" : HostReport.rounded(bytes)
  }

  private func count(_ number: Int) -> String { grouped(UInt64(number)) }

  private func percent(_ share: Double?) -> String {
    guard let share else { return "-" }
    // What is nearly none or nearly all is not to look like it.
    let places = share * 100 < 1 || share * 100 > 99 ? 3 : 1
    return decimal(share * 100, places: share == 0 || share == 1 ? 0 : places) + " %"
  }

  private var guestList: String {
    "\(count(guests.arrived)) came: \(count(guests.wired)) wired, \(count(guests.paged)) paged, "
      + "\(count(guests.forked)) forks; at most \(count(guests.mostAtOnce)) at once"
  }

  private var refused: String {
    guests.refused == 0
      ? "none" : "\(count(guests.refused)) for want of memory, \(amount(guests.refusedBytes))"
  }

  private var wired: String {
    guard wires.count > 0 else { return "none" }
    let sizes = wires.bytesByPageSize.compactMap { key, bytes in
      UInt64(key).map { (size: ByteCount($0), bytes: bytes) }
    }
    let list = sizes.sorted { $0.size > $1.size }.map { part in
      percent(Double(part.bytes.rawValue) / Double(wires.bytes.rawValue)) + " in \(part.size)"
    }
    return "\(amount(wires.bytes)): \(list.joined(separator: ", ")) pages; "
      + "\(percent(wires.zeroedShare)) zeroed ahead"
  }

  private var touched: String {
    let shortage = shortages == 0 ? "" : "; \(count(shortages)) times no frame was free"
    return "\(grouped(faults)) pages of 4 KiB" + shortage
  }

  private var reservationList: String {
    func count(_ number: Int) -> String { grouped(UInt64(number)) }
    return "\(count(reservations.made)) superpages for base pages: "
      + "\(count(reservations.filled)) filled, \(count(reservations.broken)) broken for want of memory, "
      + "\(count(reservations.emptied)) empty again"
  }

  private var metadataList: String {
    "\(amount(metadata.bytes)) at most, "
      + "\(decimal(metadata.share * 100, places: 4)) % of the memory: "
      + "allocator \(amount(metadata.allocatorBytes)), objects \(amount(metadata.objectBytes)), "
      + "maps \(amount(metadata.mapBytes))"
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
        guard let times = times[operation.rawValue], times.count > 0 else { return nil }
        return [operation.rawValue, grouped(times.count)]
          + [times.mean, times.median, times.p99, times.longest].map { seconds in
            seconds.map { formatted(.seconds($0)) } ?? "-"
          }
      }
  }

  /// Columns as wide as they need to be, the first one to the left.
  private func table(_ rows: [[String]]) -> String {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      zip(row, widths).enumerated().map { column, cell in
        let padding = String(repeating: " ", count: cell.1 - cell.0.count)
        return column == 0 ? cell.0 + padding : padding + cell.0
      }.joined(separator: "  ") + "\n"
    }.joined()
  }

  private var ending: String {
    memory.freeAtEndBytes == options.memoryBytes
      ? "Once all guests had gone every frame was free." : "Frames were lost."
  }
}
