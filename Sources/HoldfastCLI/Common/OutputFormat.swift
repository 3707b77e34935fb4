internal import ArgumentParser
internal import FoundationEssentials
internal import Glibc
internal import HoldfastCore

/// The format of results.
enum OutputFormat: String, CaseIterable, ExpressibleByArgument {
  /// For people; may change between versions.
  case text
  /// For programs; the keys do not change.
  case json
}

/// The option of commands that print a result.
struct FormatOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The output format: text for people, or json, whose keys do not change.",
      valueName: "format"))
  var format = OutputFormat.text

  /// Writes a result in the chosen format.
  ///
  /// - Parameter isForPrograms: whether programs read the text too, so that only a terminal gets it
  ///   without control characters.
  func write(
    _ value: some Encodable, text: @autoclosure () -> String, isForPrograms: Bool = false
  ) throws(CLIError) {
    switch format {
    case .text:
      let isShown = !isForPrograms || isatty(STDOUT_FILENO) == 1
      try Output.write(isShown ? text().printableLines : text())
    case .json: try Output.write(json(value))
    }
  }
}

/// A value as JSON, indented, with sorted keys, ending in a newline. Every key of the value is there,
/// and null where it has none.
func json(_ value: some Encodable) throws(CLIError) -> String {
  try json(value, [.prettyPrinted])
}

/// A value as JSON in one line, in the same form otherwise.
func jsonLine(_ value: some Encodable) throws(CLIError) -> String { try json(value, []) }

private func json(
  _ value: some Encodable, _ formatting: JSONEncoder.OutputFormatting
) throws(CLIError) -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = formatting.union([.sortedKeys, .withoutEscapingSlashes])
  do {
    return String(decoding: try encoder.encode(CompleteValue(value)), as: UTF8.self) + "\n"
  } catch {
    throw CLIError("cannot write the output as JSON: \(error)")
  }
}
