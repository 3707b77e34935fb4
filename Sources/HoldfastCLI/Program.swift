internal import ArgumentParser
internal import Glibc

/// The program `holdfast`: what comes in as arguments, what goes out as a status.
@main
enum Program {
  static func main() {
    do throws(CLIError) {
      try StandardStreams.prepare()
    } catch {
      exit(fail(error.line, status: CLIError.failure))
    }
    exit(run(Array(CommandLine.arguments.dropFirst())))
  }

  /// Runs what the arguments ask for and returns the exit status.
  private static func run(_ arguments: [String]) -> Int32 {
    do {
      var command = try HoldfastCommand.parseAsRoot(arguments)
      try StandardStreams.checkOutput()
      try command.run()
      Ending.begin()
      return 0
    } catch {
      Ending.begin()
      return finish(error)
    }
  }

  private static func finish(_ error: any Error) -> Int32 {
    if let child = error as? ChildStatus { return child.status }
    if let error = error as? CLIError { return fail(error.line, status: CLIError.failure) }
    let status = HoldfastCommand.exitCode(for: error).rawValue
    if status == 0 { return printHelp(HoldfastCommand.fullMessage(for: error)) }
    if status == ExitCode.validationFailure.rawValue {
      return fail(UsageError(error).line, status: status)
    }
    return fail(CLIError(error).line, status: CLIError.failure)
  }

  /// Help, the version and completion scripts are what was asked for: they go to standard output.
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
