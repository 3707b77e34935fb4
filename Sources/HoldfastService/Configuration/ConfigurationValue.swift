internal import HoldfastCore

/// Reads the values of a configuration that are not sizes.
enum ConfigurationValue {
  /// A whole number.
  static func number(_ text: String, in range: ClosedRange<Int>) throws(Size.Problem) -> Int {
    guard let number = Int(digits: text), range.contains(number) else {
      throw Size.Problem(
        description: "it is not a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// `yes` or `no`, and their synonyms.
  static func flag(_ text: String) throws(Size.Problem) -> Bool {
    switch text {
    case "yes", "true", "on", "1": return true
    case "no", "false", "off", "0": return false
    default: throw Size.Problem(description: "it is neither yes nor no")
    }
  }

  /// One of several words.
  static func choice<Choice: RawRepresentable<String>>(
    _ text: String, _ all: [Choice]
  ) throws(Size.Problem) -> Choice {
    if let choice = Choice(rawValue: text) { return choice }
    throw Size.Problem(
      description: "it is not one of " + all.map(\.rawValue).joined(separator: ", "))
  }

  /// A group, by name or number.
  static func group(_ text: String) throws(Size.Problem) -> UInt32 {
    if let number = UInt32(digits: text) { return number }
    guard let number = Groups.number(text) else {
      throw Size.Problem(description: "no group has that name")
    }
    return number
  }

  /// Permissions in octal digits: `0660`.
  static func permissions(_ text: String) throws(Size.Problem) -> UInt32 {
    guard text.utf8.allSatisfy({ (48...55).contains($0) }), let mode = UInt32(text, radix: 8),
      mode <= 0o777
    else {
      throw Size.Problem(description: "it is not a mode in octal digits, such as 0660")
    }
    return mode
  }

  /// An absolute path, without slashes at its end.
  static func path(_ text: String) throws(Size.Problem) -> String {
    guard text.hasPrefix("/"), !text.contains("\0") else {
      throw Size.Problem(description: "it is not a path that begins with /")
    }
    guard text.utf8.count < 4096,
      text.utf8.split(separator: UInt8(ascii: "/")).allSatisfy({ $0.count < 256 })
    else {
      throw Size.Problem(description: "it is longer than the kernel allows")
    }
    var path = text
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    return path
  }

  /// The path of a file, not of the root folder.
  ///
  /// - Parameter longest: the most bytes of its name.
  static func filePath(_ text: String, longest: Int = 255) throws(Size.Problem) -> String {
    let path = try path(text)
    let name = path.utf8.split(separator: UInt8(ascii: "/")).last
    guard let name, path.utf8.count > 1 else {
      throw Size.Problem(description: "it is the root folder")
    }
    guard name.count <= longest else {
      throw Size.Problem(description: "the name of the file has more than \(longest) bytes")
    }
    return path
  }

  /// A time of at least 100 ms, so that the service does not spend all its time on checks.
  static func interval(_ text: String) throws(Size.Problem) -> Duration {
    let duration = try Duration(typed: text)
    guard duration >= .milliseconds(100) else {
      throw Size.Problem(description: "it is shorter than 0.1 seconds")
    }
    return duration
  }
}
