internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// Reads folders within bounds, so that a folder with hundreds of thousands of names, by accident
/// or by a user who wants to do harm, holds up neither leases nor the service.
extension Reservoir {
  /// The largest number of names that one listing uses; a level has as many files at most.
  static let mostNames = 65_536
  /// The largest number of names that one listing reads, most of which it skips by their form. The
  /// kernel returns about a million a second.
  static let mostRead = 1 << 20

  /// The names in a folder, at most `limit`. A line about the others is added to `beyond`.
  func names(
    in folder: Folder, _ place: String, _ operation: String, atMost limit: Int = mostNames,
    beyond: inout [String]
  ) throws(HoldfastError) -> [String] {
    let (names, isComplete) = try during(operation, "cannot read \(path)/\(place)") {
      () throws(Errno) in try folder.names(atMost: limit)
    }
    if !isComplete {
      beyond.append("\(path)/\(place): it has more than \(limit) names; the others were not read")
    }
    return names
  }

  /// The names in the folder of ready files. Foreign names beyond the bound hide no ready file: a
  /// service that saw none would fill without end.
  func allReadyNames(
    _ operation: String, beyond: inout [String]
  ) throws(HoldfastError) -> [String] {
    let count = beyond.count
    let all = try names(in: ready, "ready", operation, beyond: &beyond)
    if beyond.count == count { return all }
    let texts = try during(operation, "cannot read \(path)/ready") { () throws(Errno) in
      try FolderReader(ready, atMost: Self.mostRead).next(
        Self.mostNames, where: ReadyName.resembles)
    }
    return all.filter { !ReadyName.resembles(Array($0.utf8).span) } + texts
  }

  /// The names of ready files without a problem.
  ///
  /// - Throws: ``HoldfastError`` with the code `host` where there are too many to count them, so
  ///   that a fill would not know what is missing.
  func readyNames(_ operation: String) throws(HoldfastError) -> [ReadyName] {
    let names = try during(operation, "cannot read \(path)/ready") { () throws(Errno) in
      let reader = try FolderReader(ready, atMost: Self.mostRead)
      let names = reader.next(Self.mostNames + 1, where: ReadyName.resembles)
      return reader.isCutShort || names.count > Self.mostNames ? nil : names
    }
    guard let names else {
      throw HoldfastError(
        .host, operation: operation,
        reason: "\(path)/ready has too many names to count the ready files (more than "
          + "\(Self.mostNames) of ready files, or \(Self.mostRead) in total)",
        advice: .inspectAndRemove(path: "\(path)/ready"))
    }
    return names.compactMap { text in
      guard let name = ReadyName(text), let status = try? ready.status(text),
        problem(status, named: name) == nil
      else { return nil }
      return name
    }
  }

  /// The files of a user's lease of a name, at most one unless others were put there by hand.
  func leases(_ name: LeaseName, in folder: Folder) throws(Errno) -> [LeaseFile] {
    let prefix = Array(name.text.utf8)
    let names = try FolderReader(folder, atMost: Self.mostRead).next(Self.mostNames) {
      $0.begins(with: prefix)
    }
    return names.compactMap { LeaseFile($0) }.filter { $0.name == name }
      .sorted { ($0.isHeld ? 1 : 0, $0.text) < ($1.isHeld ? 1 : 0, $1.text) }
  }

  /// The users with a folder of leases. Other names are reported and do not stop the call.
  func leaseUsers(
    _ operation: String, foreign: inout [String]
  ) throws(HoldfastError) -> [UInt32] {
    var users: [UInt32] = []
    for name in try names(in: leased, "leased", operation, beyond: &foreign) {
      if let user = UInt32(name), "\(user)" == name {
        users.append(user)
      } else {
        foreign.append("\(path)/leased/\(name): its name is not the ID of a user")
      }
    }
    return users
  }

  /// The names in a user's folder of leases, with the folder, or nil without one that can be read.
  /// A folder out of order is reported, since it must not hold up the leases of other users.
  ///
  /// The callers open one folder after the other, because a process may have thousands of folders
  /// to read and few descriptors.
  func leaseNames(
    of user: UInt32, _ operation: String, atMost limit: Int = mostNames, foreign: inout [String],
    failed: inout [String]
  ) -> (folder: Folder, names: [String])? {
    do throws(HoldfastError) {
      guard let folder = try leaseFolder(of: user, operation) else { return nil }
      let names = try names(
        in: folder, "leased/\(user)", operation, atMost: limit, beyond: &foreign)
      return (folder, names)
    } catch {
      if error.code == .untrusted {
        foreign.append(error.reason)
      } else if error.code != .notPermitted {
        failed.append(error.during("").statement)
      }
      // Otherwise it is root's, in the reservoir of another owner.
      return nil
    }
  }
}

extension ReadyName {
  /// Whether a name may be that of a ready file, which is known without parsing it: it begins with
  /// a digit and ends in `-` and 16 characters.
  static func resembles(_ name: Span<UInt8>) -> Bool {
    name.count > 17 && name.count <= 48 && (48...57).contains(name[0])
      && name[name.count - 17] == UInt8(ascii: "-")
  }
}

extension Span<UInt8> {
  func begins(with prefix: [UInt8]) -> Bool {
    guard count >= prefix.count else { return false }
    for index in prefix.indices where self[index] != prefix[index] { return false }
    return true
  }
}
