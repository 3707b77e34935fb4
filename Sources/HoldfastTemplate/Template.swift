internal import Glibc
public import HoldfastCore
package import HoldfastLinux
internal import SystemPackage

/// A sealed template: the memory of a machine that was stopped, its device state, and what is known
/// of it. Clones map the memory privately or read it, so it never changes.
///
/// The object has the memory open, and a template whose memory is open is not removed. So keep it
/// until the clone has the memory open itself.
public final class Template: Sendable {
  /// The name.
  public let name: TemplateName
  /// Its properties.
  public let about: TemplateAbout
  /// The path of its folder.
  public let path: String
  let store: TemplateStore
  let folder: Folder
  /// The memory, open for reading.
  package let memory: OpenFile

  static let memoryName = "memory"
  static let aboutName = "about"
  static let stateName = "state"
  static let workingSetName = "touched"
  static let dataName = "data"
  static let clonesName = "clones"
  static let changedName = "changed"

  init(
    _ name: TemplateName, _ about: TemplateAbout, path: String, _ store: TemplateStore,
    _ folder: Folder, _ memory: OpenFile
  ) {
    self.name = name
    self.about = about
    self.path = path
    self.store = store
    self.folder = folder
    self.memory = memory
  }

  /// The path of the memory: a file of ``size`` bytes.
  public var memoryPath: String { path + "/" + Self.memoryName }
  /// The size of the memory.
  public var size: ByteCount { about.size }
  /// The size of the pages that a clone copies.
  public var pageSize: ByteCount { about.pageSize }

  /// The path of the device state, or nil where a file has more bytes than the state: on hugetlbfs,
  /// whose files end with a page.
  package var statePath: String? {
    store.isHugetlb ? nil : path + "/" + Self.stateName
  }

  /// Notes that a process may have written to the memory. The template is not opened again.
  package func markChanged() {
    _ = try? folder.makeOwnFile(Self.changedName)
  }

  /// Reads the device state.
  ///
  /// - Returns: its bytes; none for a template without a device state.
  /// - Throws: ``HoldfastError`` with the code `host` where it cannot be read or is shorter than it
  ///   was.
  /// - Complexity: O(bytes).
  public func state() throws(HoldfastError) -> [UInt8] {
    let operation = "read the device state of the template '\(name)'"
    if about.stateBytes == 0 { return [] }
    let advice = Advice.other("another template; this one is damaged")
    let bytes = try during(operation, "cannot read \(path)/\(Self.stateName)", advice: advice) {
      () throws(Errno) in
      try folder.file(Self.stateName, writable: false).bytes(count: about.stateBytes)
    }
    guard bytes.count == about.stateBytes else {
      throw HoldfastError(
        .host, operation: operation,
        reason: "\(path)/\(Self.stateName) has \(bytes.count) bytes, not \(about.stateBytes)",
        advice: advice)
    }
    return bytes
  }

  /// The ranges of bytes of the memory that are not in holes, in ascending order, as the seal has
  /// found them; nil where it has not, as on hugetlbfs.
  package func dataRanges() -> [Range<UInt64>]? {
    guard let file = try? folder.file(Self.dataName, writable: false),
      let status = try? file.status(), status.isRegular, status.size.rawValue <= MemoryData.longest,
      let bytes = try? file.bytes(count: Int(status.size.rawValue))
    else { return nil }
    return MemoryData(bytes, size: size)?.ranges
  }

  /// Reads the pages that a clone touched first.
  ///
  /// - Returns: nil where none are kept, or the record cannot be read.
  /// - Complexity: O(pages).
  public func workingSet() -> WorkingSet? {
    guard let file = try? folder.file(Self.workingSetName, writable: false),
      let status = try? file.status(), status.isRegular,
      let bytes = try? file.bytes(
        count: min(Int(clamping: status.size.rawValue), WorkingSet.longest))
    else { return nil }
    return WorkingSet(bytes, memory: size)
  }

  /// Keeps the pages that a clone touched, in place of those that were kept before.
  ///
  /// - Throws: ``HoldfastError`` with the code `notPermitted`, `resourceShortage` or `host`. What
  ///   was kept before stays.
  /// - Complexity: O(pages).
  public func save(_ set: WorkingSet) throws(HoldfastError) {
    let operation = "keep the touched pages of the template '\(name)'"
    try during(operation, "cannot write \(path)/\(Self.workingSetName)") { () throws(Errno) in
      try folder.replace(Self.workingSetName, with: set.bytes)
    }
  }
}

extension Folder {
  /// Creates a file that belongs to the folder's owner, also where root makes it.
  func makeOwnFile(_ name: String) throws(Errno) -> OpenFile {
    let owner = try status()
    let file = try makeFile(name)
    do throws(Errno) {
      if owner.owner != geteuid() { try file.setOwner(owner.owner, group: owner.group) }
      return file
    } catch {
      try? unlink(name)
      throw error
    }
  }

  /// Creates a folder that belongs to this one's owner, also where root makes it.
  func makeOwnFolder(_ name: String) throws(Errno) -> Folder {
    let owner = try status()
    try makeFolder(name, permissions: 0o700)
    let made = try folder(name)
    if owner.owner != geteuid() { try made.setOwner(owner.owner, group: owner.group) }
    return made
  }

  /// Gives a file these contents: another file takes its name when it is complete.
  func replace(_ name: String, with bytes: [UInt8]) throws(Errno) {
    let draft = "." + name + "-" + RandomID.text()
    let file = try makeOwnFile(draft)
    do throws(Errno) {
      try file.fill(with: bytes)
      try replace(name, by: draft)
    } catch {
      try? unlink(draft)
      throw error
    }
  }
}
