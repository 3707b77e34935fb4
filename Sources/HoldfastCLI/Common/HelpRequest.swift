internal import ArgumentParser

/// `holdfast help <command>`, for which the parser shows the help of as much of the command as it
/// knows.
enum HelpRequest {
  /// The first word that names no command; nil where all do, or help is not requested so.
  static func unknownWord(in arguments: [String]) -> String? {
    guard arguments.first == "help" else { return nil }
    var command: any ParsableCommand.Type = HoldfastCommand.self
    for word in arguments.dropFirst() {
      // The parser knows these.
      if ["-h", "-help", "--help", "--version"].contains(word) { continue }
      let next = command.configuration.subcommands.first { $0._commandName == word }
      guard let next else { return word }
      command = next
    }
    return nil
  }
}
