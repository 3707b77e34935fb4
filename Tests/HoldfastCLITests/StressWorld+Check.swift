import Foundation
import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

extension StressWorld {
  private var users: [UInt32] { [0] + members }

  /// Collects until no process runs any more, and accounts for every lease, file and page.
  func check() throws {
    let end = ContinuousClock.now + .seconds(30)
    var text = ""
    repeat {
      text = try place.get("reservoir", "gc", "--verify")
      try require(!text.contains("foreign file") && !text.contains("quarantine"), text)
      try require(ContinuousClock.now < end, "a process is still running: \(text)")
    } while text.contains(" in use left alone")
    for (log, user) in monitors {
      try ledger.read((try? String(contentsOfFile: log, encoding: .utf8)) ?? "", of: user)
    }
    monitors = []
    try require(place.names("filling") == [] && place.names("quarantine") == [], "not empty")
    try require(
      Set(place.names("leased")).isSubset(of: users.map { "\($0)" }),
      "an unknown user has a folder of leases")

    var files: Set<ino_t> = []
    var bytes = (least: 0, most: 0)
    func add(_ file: stat, _ name: String) throws {
      try require(files.insert(file.st_ino).inserted, "\(name) has two names")
      bytes.least += Int(file.st_blocks) * 512
      // The kernel reserves huge pages before it populates them.
      bytes.most += max(Int(file.st_blocks) * 512, Int(file.st_size))
    }
    for user in users {
      let folder = place.file("leased/\(user)")
      for (name, file) in try ledger.settle(user, in: folder) {
        try add(file, name)
        if ledger[user, name]?.isMarked == true {
          let memory = try StressMemory(folder + "/" + name)
          try require(memory.has(name), "user \(user): \(name) has other contents")
        }
      }
    }
    for name in place.names("ready") {
      let memory = try StressMemory(place.file("ready/" + name))
      try require(memory.isZero, "\(name) is ready and not zero")
      try require(name.hasPrefix("\(memory.status.st_size >> 20)M-"), "\(name) has another size")
      try require(memory.status.st_nlink == 1, "\(name) has several names")
      try add(memory.status, name)
    }
    // The kernel closes what was in a dead service's sockets a little later.
    let isCounted = eventually(within: .seconds(10)) { (bytes.least...bytes.most).contains(used) }
    try require(isCounted, "\(used) bytes are used, \(bytes) accounted for")
  }

  private var used: Int {
    var status = statvfs()
    guard statvfs(place.path, &status) == 0 else { return -1 }
    return Int(status.f_frsize) * Int(status.f_blocks - status.f_bfree)
  }

  /// Ends all leases and drains. No page is used then.
  func finish() throws {
    for user in users {
      for name in place.names("leased/\(user)") {
        try place.get("reservoir", "release", name, "--user", "\(user)")
      }
    }
    try place.get("reservoir", "drain")
    let isEmpty = eventually(within: .seconds(10)) { used == 0 }
    try require(isEmpty, "\(used) bytes are used at the end")
  }
}
