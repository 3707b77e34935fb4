internal import HoldfastCore

// Numbers and tables for people. FoundationEssentials does not format numbers, and the rest of
// Foundation is large to link statically.

/// Reads a whole number within bounds, or throws what is wrong with the text.
func wholeNumber(_ text: String, in range: ClosedRange<Int>) throws -> Int {
  let isNegative = text.first == "-"
  let number = DecimalNumber(isNegative ? text.dropFirst() : text[...], mostDigits: .max)
  guard let number, number.fraction.isEmpty else {
    throw Size.Problem(
      description: "it is not a whole number, use a number from \(range.lowerBound) to "
        + "\(range.upperBound)")
  }
  let value = number.integer(Int.self)
  if !isNegative, let value, range.contains(value) { return value }
  let isSmall = isNegative || value.map { $0 < range.lowerBound } ?? false
  let problem = isSmall ? "too small" : "too large"
  throw Size.Problem(
    description: "it is \(problem), use a number from \(range.lowerBound) to \(range.upperBound)")
}

/// A count with separated thousands: `5,120`.
func grouped(_ count: UInt64) -> String {
  let digits = Array("\(count)")
  var text = ""
  for (index, digit) in digits.enumerated() {
    if index > 0, (digits.count - index).isMultiple(of: 3) { text.append(",") }
    text.append(digit)
  }
  return text
}

/// A non-negative number, rounded to a number of decimals: `0.91`.
func decimal(_ value: Double, places: Int) -> String {
  var scale: UInt64 = 1
  for _ in 0..<places { scale *= 10 }
  let scaled = UInt64((max(0, min(value, 1e12)) * Double(scale)).rounded())
  guard places > 0 else { return "\(scaled)" }
  let fraction = "\(scaled % scale)"
  return "\(scaled / scale)." + String(repeating: "0", count: places - fraction.count) + fraction
}

/// A time with three significant digits, in the unit that suits: `912 µs`, `1.32 s`.
func formatted(_ duration: Duration) -> String { duration.shortText }

/// Bytes per second: `9.1 GiB/s`.
func rate(_ bytes: ByteCount, in duration: Duration) -> String {
  let seconds = duration.seconds
  guard seconds > 0 else { return "-" }
  let mebibytes = Double(bytes.rawValue) / seconds / 1_048_576
  return mebibytes < 1024
    ? decimal(mebibytes, places: 0) + " MiB/s" : decimal(mebibytes / 1024, places: 1) + " GiB/s"
}

/// Lines of labels and values, the values in a column.
func labeled(_ rows: [(label: String, value: String)]) -> String {
  let width = rows.map(\.label.count).max() ?? 0
  return rows.map { row in
    row.label + String(repeating: " ", count: width - row.label.count + 2) + row.value + "\n"
  }.joined()
}

/// Rows with as many cells as the first one, in columns: the first left-aligned, the others
/// right-aligned.
func table(_ rows: [[String]]) -> String {
  let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
  return rows.map { row in
    row.enumerated().map { column, cell in
      let padding = String(repeating: " ", count: widths[column] - cell.count)
      return column == 0 ? cell + padding : padding + cell
    }.joined(separator: "  ") + "\n"
  }.joined()
}
