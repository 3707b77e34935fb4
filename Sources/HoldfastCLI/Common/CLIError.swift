internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastLinux

/// Why the program failed, in one line for people: what, why, and what to do.
struct CLIError: Error {
  static let failure: Int32 = 1

  /// The line, without the program's name and without its end.
  let line: String
  /// The exit status: 1, or 64 for arguments that only a file shows to be wrong.
  let status: Int32

  init(_ line: String, status: Int32 = failure) {
    self.line = line
    self.status = status
  }

  init(_ error: any Error) {
    self.init((error as? HoldfastError).map { AdviceText.line($0) } ?? "\(error)")
  }
}

/// What is wrong with the arguments, in the form of the other errors. Ends with status 64.
struct UsageError {
  let line: String

  /// Makes one line of a parser's error: its message, and the command that shows the help.
  ///
  /// - Parameter arguments: what was parsed.
  init(_ error: any Error, _ arguments: [String]) {
    let error = UsageError.withoutLineBreaks(error, arguments)
    line =
      UsageError.sentence(HoldfastCommand.message(for: error)) + "; try: "
      + UsageError.help(for: error)
  }

  /// What is wrong with arguments, or nil where the parser accepts them or shows a help, for tests.
  init?(parsing arguments: [String]) {
    do {
      _ = try HoldfastCommand.parseAsRoot(arguments)
      return nil
    } catch {
      guard HoldfastCommand.exitCode(for: error) == .validationFailure else { return nil }
      self.init(error, arguments)
    }
  }

  /// The parser's error about the same arguments without the line breaks and control characters of
  /// their values, which its message repeats: a line of a value would be taken for one of the
  /// message.
  private static func withoutLineBreaks(_ error: any Error, _ arguments: [String]) -> any Error {
    let shown = arguments.map(Output.singleLine)
    guard shown != arguments else { return error }
    do {
      _ = try HoldfastCommand.parseAsRoot(shown)
    } catch let other where HoldfastCommand.exitCode(for: other) == .validationFailure {
      return other
    } catch {}
    return error
  }

  /// The parser's message, often two sentences such as `X. Did you mean Y?`, as a part of one.
  private static func sentence(_ message: String) -> String {
    var text = unbulleted(message).lowercasedFirst
    if let last = text.last, ".?".contains(last) { text.removeLast() }
    for (second, joined) in [(". Please provide ", ": give "), (". Did you mean ", ": is it ")] {
      guard let range = text.ranges(of: second).last else { continue }
      text.replaceSubrange(range, with: joined)
    }
    return withoutRepeatedValue(text)
  }

  /// `the value '10Q' is invalid for '-m <size>': '10Q' is not a size` with `it` for the second
  /// `'10Q'`: a value's own error quotes it, for errors that no parser introduces.
  private static func withoutRepeatedValue(_ text: String) -> String {
    let introduction = "the value "
    guard text.hasPrefix(introduction), let end = text.firstRange(of: " is invalid for ") else {
      return text
    }
    let value = text[text.index(text.startIndex, offsetBy: introduction.count)..<end.lowerBound]
    return text.replacing(": \(value) is ", with: ": it is ")
  }

  /// A list of many values, which the parser writes on a line each, in the form that it has for
  /// few: `'a', 'b' or 'c'`.
  private static func unbulleted(_ message: String) -> String {
    let lines = message.split(whereSeparator: \.isNewline).map {
      String($0.drop { $0 == " " })
    }
    let values = lines.filter { $0.hasPrefix("- ") }.map { "'\($0.dropFirst(2))'" }
    guard values.count > 1, let last = values.last else { return message }
    let head = lines.prefix { !$0.hasPrefix("- ") }.joined(separator: " ")
      .replacing("one of the following:", with: "one of")
    return head + " " + values.dropLast().joined(separator: ", ") + " or " + last
  }

  /// The command that shows the options of the subcommand in question. The parser names it only
  /// at the end of its own text: `See 'holdfast wire --help' for ...`.
  private static func help(for error: any Error) -> String {
    let last = HoldfastCommand.fullMessage(for: error).split(separator: "\n").last ?? ""
    let parts = last.split(separator: "'", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0].hasSuffix("See ") else { return "holdfast --help" }
    return String(parts[1])
  }
}

extension String {
  /// The text as a part of a sentence; names in capitals stay as they are.
  fileprivate var lowercasedFirst: String {
    guard let first, dropFirst().first?.isUppercase == false else { return self }
    return first.lowercased() + dropFirst()
  }
}
