internal import HoldfastCore

/// The fields of a line of a trace, which become a guest if all are valid.
struct TraceRow {
  let fields: [ArraySlice<UInt8>]
  let layout: TraceLayout
  let file: String
  let line: Int

  /// The guest of the line.
  func guest() throws(TraceError) -> TraceGuest {
    for column in [TraceColumn.vmid, .subscriptionid, .deploymentid]
    where field(column)?.isEmpty == true {
      throw problem(column, "the id is empty")
    }
    let created = try seconds(.vmcreated)
    let deleted = try seconds(.vmdeleted)
    guard deleted >= created else {
      throw problem(.vmdeleted, "\(deleted) is before vmcreated, which is \(created)")
    }
    for column in [TraceColumn.maxcpu, .avgcpu, .p95maxcpu] { try checkPercentage(column) }
    if field(.vmcategory)?.isEmpty == true {
      throw problem(.vmcategory, "the category is empty")
    }
    if let cores = field(.vmcorecountbucket) {
      let digits = cores.first == UInt8(ascii: ">") ? cores.dropFirst() : cores
      guard number(digits)?.times(1) ?? 0 > 0 else {
        throw problem(
          .vmcorecountbucket,
          "\(TraceLine.quoted(cores)) is not a number of cores such as 4, or >24")
      }
    }
    let text = field(.vmmemorybucket) ?? []
    guard let memory = memory(text) else {
      throw problem(
        .vmmemorybucket,
        "\(TraceLine.quoted(text)) is not a number of GB such as 8 or 1.75, or >64")
    }
    return TraceGuest(created: created, deleted: deleted, memory: memory)
  }

  /// The field of a column; nil where the file lacks the column.
  private func field(_ column: TraceColumn) -> ArraySlice<UInt8>? {
    layout.fields[column.rawValue].map { fields[$0] }
  }

  private func number(_ text: ArraySlice<UInt8>) -> TraceNumber? {
    TraceNumber(text, hasDecimalComma: layout.hasDecimalComma)
  }

  private func problem(_ column: TraceColumn, _ reason: String) -> TraceError {
    TraceError(
      file: file, line: line, column: column,
      position: layout.fields[column.rawValue].map { $0 + 1 }, reason: reason)
  }

  private func seconds(_ column: TraceColumn) throws(TraceError) -> UInt64 {
    let text = field(column) ?? []
    // Up to 300 years.
    guard let seconds = number(text)?.times(1), seconds <= 10_000_000_000 else {
      throw problem(column, "\(TraceLine.quoted(text)) is not a whole number of seconds")
    }
    return seconds
  }

  private func checkPercentage(_ column: TraceColumn) throws(TraceError) {
    guard let text = field(column) else { return }
    let digits = text.last == UInt8(ascii: "%") ? text.dropLast() : text
    // Readings sometimes exceed 100 by a rounding error.
    guard let value = number(digits)?.roundedDown(times: 1000), value <= 101_000 else {
      throw problem(column, "\(TraceLine.quoted(text)) is not a percentage")
    }
  }

  /// Reads `8`, `1.75` or `>64`, in units of 2^30 bytes.
  private func memory(_ text: ArraySlice<UInt8>) -> ByteCount? {
    if text.first == UInt8(ascii: ">") {
      return number(text.dropFirst())?.times(1) == 64 ? TraceParser.openBucket : nil
    }
    guard let bytes = number(text)?.roundedDown(times: 1 << 30), bytes <= 1 << 50 else {
      return nil
    }
    let size = ByteCount(bytes).roundedDown(to: Geometry.small.pageSize)
    return size > .zero ? size : nil
  }
}
