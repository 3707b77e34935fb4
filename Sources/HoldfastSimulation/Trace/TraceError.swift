/// What is wrong with a trace, and where.
package struct TraceError: Error, Hashable, CustomStringConvertible, Sendable {
  /// The file's name.
  package let file: String
  /// The number of the line, from 1 on; nil where the whole file is wrong.
  package let line: Int?
  /// The column, or nil where the whole line is wrong.
  package let column: TraceColumn?
  /// The column's number in the file, from 1 on.
  let position: Int?
  /// What is wrong.
  package let reason: String
  /// What to do, where it is something else than to look at the format.
  package let advice: String?

  /// An error; `position` is the column's number in the file where that is not the usual one.
  package init(
    file: String, line: Int?, column: TraceColumn?, position: Int? = nil, reason: String,
    advice: String? = nil
  ) {
    self.file = file
    self.line = line
    self.column = column
    self.position = position ?? column.map { $0.rawValue + 1 }
    self.reason = reason
    self.advice = advice
  }

  /// `vmtable.csv: line 3: column 4 (vmcreated): 'x' is not a whole number of seconds`.
  package var description: String {
    let place = column.map { "column \(position ?? 0) (\($0)): " } ?? ""
    return "\(file): " + (line.map { "line \($0): " } ?? "") + place + reason
  }
}
