/// What is wrong with a trace, and where.
package struct TraceError: Error, Hashable, CustomStringConvertible, Sendable {
  /// The file's name.
  package let file: String
  /// The number of the line, from 1 on.
  package let line: Int
  /// The column, or nil where the whole line is wrong.
  package let column: TraceColumn?
  /// What is wrong.
  package let reason: String

  /// `vmtable.csv: line 3: column 4 (vmcreated): 'x' is not a whole number of seconds`.
  package var description: String {
    let place = column.map { "column \($0.rawValue + 1) (\($0)): " } ?? ""
    return "\(file): line \(line): \(place)\(reason)"
  }
}
