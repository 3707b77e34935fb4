internal import Foundation

/// Makes programs of tests, as scripts.
public enum ScriptFile {
  struct Failure: Error {
    let path: String
    let status: Int32
  }

  /// Writes a script that can be executed.
  ///
  /// Another process writes it: a program that another test starts at that moment would inherit a
  /// file that is open for writing here, and until it executes its own program the script could not
  /// be executed ("text file busy").
  ///
  /// - Parameters:
  ///   - text: begins with the line of the interpreter.
  ///   - path: the file, which is created or replaced, with the mode 0755.
  public static func write(_ text: String, to path: String) throws {
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = ["-c", "printf %s \"$1\" >\"$0\" && chmod 755 \"$0\"", path, text]
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw Failure(path: path, status: process.terminationStatus)
    }
  }
}
