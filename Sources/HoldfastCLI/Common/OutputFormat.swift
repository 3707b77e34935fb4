internal import ArgumentParser
internal import FoundationEssentials

/// How results are written.
enum OutputFormat: String, CaseIterable, ExpressibleByArgument {
  /// For people; may change from version to version.
  case text
  /// For programs: keys stay.
  case json
}

/// The option that commands with results share.
struct FormatOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "How to write the result: text for people, or json, whose keys do not change.",
      valueName: "format"))
  var format = OutputFormat.text
}

/// A value as JSON, indented, with sorted keys, ending in a newline.
func json(_ value: some Encodable) throws(CLIError) -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  do {
    return String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
  } catch {
    throw CLIError("cannot write the output as JSON: \(error)")
  }
}
