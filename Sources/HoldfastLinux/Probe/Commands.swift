/// Shell commands that change the host, as the user of this process can type them.
package struct Commands {
  /// The effective user, geteuid(2); 0 is root.
  package let user: UInt32

  /// Creates commands for a user.
  package init(user: UInt32) {
    self.user = user
  }

  /// A command that runs as root.
  package func asRoot(_ command: String) -> String { user == 0 ? command : "sudo " + command }

  /// A command that writes a value to a file of the kernel, as root.
  package func write(_ value: some CustomStringConvertible, to path: String) -> String {
    user == 0 ? "echo \(value) > \(path)" : "echo \(value) | sudo tee \(path)"
  }

  /// A word, quoted for the shell if it needs that.
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
