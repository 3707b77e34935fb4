import Foundation
import Glibc

/// What users know of their leases, by what they were told before they or the service were killed.
struct LeaseLedger {
  /// A lease that was asked for.
  struct Entry {
    /// The file, once it is known.
    var file: ino_t?
    /// Whether the lease must exist. Otherwise a request was not answered: to make it or to end it.
    var isCertain = false
    /// Whether its memory has its name.
    var isMarked = false
  }

  struct Problem: Error, CustomStringConvertible {
    let description: String
  }

  /// The leases of each user, by the names of their files.
  private var users: [UInt32: [String: Entry]] = [:]
  /// The numbers of operations, by kind; and of leases that were made, and of requests without an
  /// answer.
  private(set) var counts: [String: Int] = [:]

  var operations: Int {
    counts.filter { !["told", "unanswered"].contains($0.key) }.values.reduce(0, +)
  }

  mutating func count(_ kind: String) { counts[kind, default: 0] += 1 }

  subscript(_ user: UInt32, _ name: String) -> Entry? {
    get { users[user]?[name] }
    set { users[user, default: [:]][name] = newValue }
  }

  /// The plain leases that a user can release, with their contents.
  func leases(of user: UInt32) -> [String] {
    (users[user] ?? [:]).filter { $0.value.isMarked && !$0.key.hasSuffix(".run") }.keys.sorted()
  }

  /// Reads what a program has noted until it ended or was killed.
  mutating func read(_ log: String, of user: UInt32) throws {
    for line in log.split(separator: "\n") {
      let words = line.split(separator: " ").map(String.init)
      let name = words.count > 1 ? words[1] : ""
      switch words[0] {
      case "lease":
        self[user, name] = Entry()
        count(name.hasSuffix(".run") ? "held" : "lease")
      case "told":
        count("told")
        self[user, name] = Entry(file: ino_t(words[2]), isCertain: true)
      case "marked": self[user, name]?.isMarked = true
      case "release":
        self[user, name]?.isCertain = false
        count("release")
      case "kept": self[user, name]?.isCertain = true
      case "none", "released": self[user, name] = nil
      case "status", "unanswered": count(words[0])
      case "end", "done", "process": break
      default: throw Problem(description: "user \(user): \(line)")
      }
    }
  }

  /// Compares a user's leases with the files that exist, after all programs and held leases have
  /// ended, and learns which requests without an answer were performed.
  ///
  /// - Returns: the files.
  mutating func settle(_ user: UInt32, in folder: String) throws -> [String: stat] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    var files: [String: stat] = [:]
    for name in names {
      var status = stat()
      guard lstat(folder + "/" + name, &status) == 0 else { continue }
      files[name] = status
      func fail(_ problem: String) -> Problem {
        Problem(description: "user \(user): \(name) \(problem)")
      }
      guard let entry = self[user, name] else { throw fail("was not asked for, or has ended") }
      guard !name.hasSuffix(".run") else { throw fail("is held by no process") }
      guard status.st_nlink == 1 else { throw fail("has \(status.st_nlink) names") }
      if let file = entry.file, file != status.st_ino { throw fail("is another file") }
      self[user, name] = Entry(file: status.st_ino, isCertain: true, isMarked: entry.isMarked)
    }
    for (name, entry) in users[user] ?? [:] where files[name] == nil {
      if entry.isCertain, !name.hasSuffix(".run") {
        throw Problem(description: "user \(user): \(name) is lost")
      }
      self[user, name] = nil
    }
    return files
  }
}
