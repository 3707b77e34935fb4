internal import Glibc
package import HoldfastCore
package import HoldfastLinux
package import SystemPackage

/// A machine that will be a template. Its folder is locked for as long as one of the processes that
/// have it open lives: the one that made it, and a monitor that inherited the descriptor.
package final class TemplateDraft: Sendable {
  /// The name of the template.
  package let name: TemplateName
  /// The store that the template will be in.
  package let store: TemplateStore
  /// The folder. Its descriptor has the lock, where this process began the draft.
  package let folder: Folder

  private static let memoryDraft = "memory.new"
  static let sealingName = "sealing"
  private static let monitorPrefix = "monitor@"
  /// The name of the socket in the folder at which the monitor takes commands.
  package static let commandSocket = "qmp"

  init(_ name: TemplateName, _ store: TemplateStore, _ folder: Folder) {
    self.name = name
    self.store = store
    self.folder = folder
  }

  private var operation: String { "seal the template '\(name)'" }

  /// Whether the machine has stopped for good and the memory is complete. From then on the draft
  /// becomes a template whatever happens.
  package var isCommitted: Bool { (try? folder.status(Template.memoryName)) != nil }

  /// Whether the folder is still that of a draft: neither sealed nor removed.
  package var exists: Bool {
    guard let status = try? folder.status() else { return false }
    return (try? store.drafts.status(name.text))?.identity == status.identity
  }

  /// Creates the file of the memory, all zeros, which is given its final name by `commit`.
  ///
  /// - Parameter isWhole: whether it gets the space for all of it, so that a monitor that maps it
  ///   never lacks a block of the disk, which would be SIGBUS.
  package func makeMemory(
    _ size: ByteCount, isWhole: Bool = false
  ) throws(HoldfastError) -> OpenFile {
    let operation = "create the template '\(name)'"
    guard size.rawValue % store.pageSize.rawValue == 0 else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "\(size.rawValue) bytes are not a multiple of \(store.pageSize)",
        advice: .other("a multiple of \(store.pageSize)"))
    }
    let advice = Advice.other(
      "a folder with more space, of a file system that allocates space ahead, such as ext4 or XFS")
    return try during(operation, "cannot create its memory of \(size)", advice: advice) {
      () throws(Errno) in
      let file = try folder.makeOwnFile(Self.memoryDraft)
      if isWhole { try file.allocate(size) } else { try file.setSize(size) }
      return file
    }
  }

  /// The path of the file that `makeMemory` created.
  package var memoryPath: String { "\(path)/\(Self.memoryDraft)" }
  /// The status of that file.
  package func memoryStatus() throws(Errno) -> FileStatus { try folder.status(Self.memoryDraft) }
  /// The status of the memory of a committed draft.
  package func committedStatus() throws(Errno) -> FileStatus {
    try folder.status(Template.memoryName)
  }
  /// The path of the folder.
  package var path: String { "\(store.path)/drafts/\(name)" }

  /// Writes the device state, in place of one that was written before.
  package func writeState(_ bytes: [UInt8]) throws(HoldfastError) {
    try write(bytes, Template.stateName, "its device state of \(ByteCount(UInt64(bytes.count)))")
  }

  /// Writes the properties.
  package func writeAbout(_ about: TemplateAbout) throws(HoldfastError) {
    guard TemplateAbout(about.text) != nil else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "its memory has \(about.size.rawValue) bytes, not a multiple of \(about.pageSize)",
        advice: .other("a monitor that does not change the size of the file"))
    }
    try write(Array(about.text.utf8), Template.aboutName, "its properties")
  }

  private func write(_ bytes: [UInt8], _ name: String, _ what: String) throws(HoldfastError) {
    try during(operation, "cannot write \(what)") { () throws(Errno) in
      if (try? folder.status(name)) != nil { try folder.unlink(name) }
      try folder.replace(name, with: bytes)
    }
  }

  /// Removes what an attempt to seal has written.
  package func takeBack() {
    for name in [Template.aboutName, Template.stateName] { try? folder.unlink(name) }
  }

  /// Notes which process is the monitor, so that `seal` can stop it.
  package func note(_ monitor: HostProcess) throws(HoldfastError) {
    try during("start the template '\(name)'", "cannot note the monitor") { () throws(Errno) in
      _ = try folder.makeOwnFile(Self.monitorPrefix + monitor.text)
    }
  }

  /// The monitor, if it has been noted and has not ended.
  package var monitor: HostProcess? {
    for name in (try? folder.names()) ?? [] where name.hasPrefix(Self.monitorPrefix) {
      return HostProcess(text: name.dropFirst(Self.monitorPrefix.count))
    }
    return nil
  }

  /// Takes the lock that one process has that seals the draft.
  ///
  /// - Returns: the open file that has the lock.
  /// - Throws: code `busy` where another process seals it until the time is over; `alreadyExists`
  ///   where it was sealed meanwhile, `noTemplate` where it was removed.
  package func lockSealing(timeout: Duration) throws(HoldfastError) -> OpenFile {
    let end = Instant.now + timeout
    while true {
      guard exists else { throw store.noDraftError(name, operation) }
      do throws(Errno) {
        let file: OpenFile
        do throws(Errno) {
          file = try folder.makeOwnFile(Self.sealingName)
        } catch {
          guard error == .fileExists else { throw error }
          file = try folder.file(Self.sealingName)
        }
        try file.lock(waiting: false)
        if try folder.status(Self.sealingName).identity == file.status().identity {
          if exists { return file }
          // The folder is that of a template since, which has no such file.
          try folder.unlink(Self.sealingName)
        }
      } catch {
        guard !exists || error == .wouldBlock || error == .noSuchFileOrDirectory else {
          throw HoldfastError(errno: error, operation: operation, reason: "cannot lock it")
        }
      }
      guard Instant.now < end else {
        throw HoldfastError(
          .busy, operation: operation, reason: "another process seals it", advice: .retry)
      }
      usleep(2000)
    }
  }

  /// Commits the memory that `makeMemory` created. The machine has stopped for good, and the
  /// properties have been written.
  package func commit() throws(HoldfastError) {
    try during(operation, "cannot complete its memory") { () throws(Errno) in
      try folder.rename(Self.memoryDraft, to: folder, Template.memoryName)
    }
  }

  /// Commits memory by a call that moves its file to the folder, with the name that it passes.
  package func commit(
    _ move: (Folder, String) throws(HoldfastError) -> Void
  ) throws(HoldfastError) {
    try move(folder, Template.memoryName)
  }

  /// Makes the committed draft a template, as soon as no process has the memory open.
  ///
  /// - Throws: code `busy` where a process has it open until the time is over. `recover` completes
  ///   the draft later.
  package func finish(timeout: Duration) throws(HoldfastError) -> Template {
    try store.finish(name, folder, timeout: timeout)
  }

  /// Ends the draft when its monitor has ended: completes it where it is committed, and removes it
  /// otherwise. Waits while another process seals it.
  ///
  /// - Returns: whether it is a template, or will be by `recover`.
  package func end() -> Bool {
    let lock = try? lockSealing(timeout: .seconds(60))
    defer { withExtendedLifetime(lock) {} }
    guard exists else { return (try? store.sealed.status(name.text)) != nil }
    if isCommitted {
      _ = try? finish(timeout: .seconds(5))
      return true
    }
    // The lock is that of a process that seals it, and which then finds that the monitor has ended.
    guard lock != nil else { return false }
    store.empty(folder)
    try? store.drafts.removeFolder(name.text)
    return false
  }
}

extension TemplateStore {
  /// Begins a template.
  ///
  /// - Throws: code `alreadyExists` where there is a template of that name or a machine that will
  ///   be one, `host`, `notPermitted`.
  package func begin(_ name: TemplateName) throws(HoldfastError) -> TemplateDraft {
    let operation = "create the template '\(name)'"
    try recover()
    while true {
      guard (try? sealed.status(name.text)) == nil else {
        throw HoldfastError(
          .alreadyExists, operation: operation, reason: "a template has that name",
          advice: .other("another name"))
      }
      do throws(Errno) {
        let folder = try drafts.makeOwnFolder(name.text)
        // `recover` of another process may have locked it first, and removes it then.
        if try folder.tryLock(), try drafts.status(name.text).identity == folder.status().identity {
          return TemplateDraft(name, self, folder)
        }
      } catch {
        if error == .noSuchFileOrDirectory { continue }
        if error == .fileExists {
          throw HoldfastError(
            .alreadyExists, operation: operation,
            reason: "a machine that will be the template of that name is running",
            advice: .other("another name"))
        }
        throw HoldfastError(
          errno: error, operation: operation, reason: "cannot create its folder")
      }
    }
  }

  /// Opens a draft whose monitor runs, to seal it.
  ///
  /// - Throws: code `noTemplate` where there is no draft of that name; `alreadyExists` where the
  ///   template has been sealed.
  package func draft(_ name: TemplateName) throws(HoldfastError) -> TemplateDraft {
    let operation = "seal the template '\(name)'"
    do throws(Errno) {
      return TemplateDraft(name, self, try drafts.folder(name.text))
    } catch {
      guard error == .noSuchFileOrDirectory else {
        throw HoldfastError(errno: error, operation: operation, reason: "cannot open its folder")
      }
      throw noDraftError(name, operation)
    }
  }

  /// Why no machine can be sealed as a template.
  func noDraftError(_ name: TemplateName, _ operation: String) -> HoldfastError {
    if (try? sealed.status(name.text)) != nil {
      return HoldfastError(
        .alreadyExists, operation: operation, reason: "it is sealed",
        advice: .other("a machine that 'template create' runs"))
    }
    return HoldfastError(
      .noTemplate, operation: operation, reason: "no machine runs that will be this template",
      advice: .other("start it with 'template create'"))
  }
}
