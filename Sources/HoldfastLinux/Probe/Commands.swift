/// Shell commands that mend a host, as the probing process's user has to type them.
package struct Commands {
  /// geteuid(2) of the process.
  package let user: UInt32

  package init(user: UInt32) {
    self.user = user
  }

  /// A command run as root.
  package func asRoot(_ command: String) -> String { user == 0 ? command : "sudo " + command }

  /// Putting a value into one of the kernel's files.
  package func write(_ value: some CustomStringConvertible, to path: String) -> String {
    user == 0 ? "echo \(value) > \(path)" : "echo \(value) | sudo tee \(path)"
  }

  /// A word as the shell reads it back.
  package static func quoted(_ word: String) -> String {
    let plain = word.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."),
        UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "+"):
        true
      default: false
      }
    }
    if plain, !word.isEmpty { return word }
    return "'"
      + word.split(separator: "'", omittingEmptySubsequences: false)
      .joined(separator: "'\\''") + "'"
  }
}
