internal import HoldfastCore

/// Values of a configuration that are no sizes.
enum Values {
  static func number(_ text: String, in range: ClosedRange<Int>) throws(Size.Problem) -> Int {
    // A sign is no part of a count.
    guard text.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int(text),
      range.contains(number)
    else {
      throw Size.Problem(
        description: "a number from \(range.lowerBound) to \(range.upperBound) is needed")
    }
    return number
  }

  static func flag(_ text: String) throws(Size.Problem) -> Bool {
    switch text {
    case "yes", "true", "on", "1": return true
    case "no", "false", "off", "0": return false
    default: throw Size.Problem(description: "yes or no is needed")
    }
  }

  static func choice<Choice: RawRepresentable<String>>(
    _ text: String, _ all: [Choice]
  ) throws(Size.Problem) -> Choice {
    if let choice = Choice(rawValue: text) { return choice }
    throw Size.Problem(
      description: "one of " + all.map(\.rawValue).joined(separator: ", ") + " is needed")
  }

  static func path(_ text: String) throws(Size.Problem) -> String {
    guard text.hasPrefix("/"), !text.contains("\0") else {
      throw Size.Problem(description: "a path that begins with / is needed")
    }
    var path = text
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    return path
  }

  /// From 100 ms, so that a service never does nothing but look.
  static func interval(_ text: String) throws(Size.Problem) -> Duration {
    let duration = try Duration(typed: text)
    guard duration >= .milliseconds(100) else {
      throw Size.Problem(description: "at least 0.1 seconds are needed")
    }
    return duration
  }
}
