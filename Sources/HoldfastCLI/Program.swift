internal import ArgumentParser

/// The program `holdfast`: reads the arguments, runs the command, and returns its status.
enum Program {
  static func main() -> Int32 {
    do throws(CLIError) {
      try StandardStreams.prepare()
    } catch {
      return fail(error.line, status: CLIError.failure)
    }
    if let word = Arguments.firstUnreadable {
      return fail(
        "the argument '\(word)' is not UTF-8; try: a path in UTF-8, such as a symbolic link",
        status: ExitCode.validationFailure.rawValue)
    }
    return run(Arguments.texts)
  }

  /// Runs the command of the arguments and returns the exit status.
  private static func run(_ arguments: [String]) -> Int32 {
    if let word = HelpRequest.unknownWord(in: arguments) {
      let line = "unexpected argument '\(word)'; try: holdfast --help"
      return fail(line, status: ExitCode.validationFailure.rawValue)
    }
    do {
      var command = try HoldfastCommand.parseAsRoot(arguments)
      if !(command is any WritesNoResults) { try StandardStreams.checkOutput() }
      try command.run()
      ExitRace.end()
      return 0
    } catch {
      ExitRace.end()
      return finish(error, arguments)
    }
  }

  private static func finish(_ error: any Error, _ arguments: [String]) -> Int32 {
    if let exit = error as? ProgramExit { return exit.status }
    if let error = error as? CLIError { return fail(error.line, status: error.status) }
    let status = HoldfastCommand.exitCode(for: error).rawValue
    if status == 0 { return printHelp(HoldfastCommand.fullMessage(for: error)) }
    if status == ExitCode.validationFailure.rawValue {
      return fail(UsageError(error, arguments).line, status: status)
    }
    return fail(CLIError(error).line, status: CLIError.failure)
  }

  /// Help, the version and completion scripts are results: they go to standard output.
  private static func printHelp(_ text: String) -> Int32 {
    do throws(CLIError) {
      try StandardStreams.checkOutput()
      try Output.write(text.hasSuffix("\n") ? text : text + "\n")
      return 0
    } catch {
      return fail(error.line, status: CLIError.failure)
    }
  }

  private static func fail(_ line: String, status: Int32) -> Int32 {
    Output.report(line)
    return status
  }
}
