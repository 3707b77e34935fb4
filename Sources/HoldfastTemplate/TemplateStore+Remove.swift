internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension TemplateStore {
  /// Removes a template, once the kernel has proven that no process has its memory open or mapped:
  /// no clone runs, and none is about to start. One whose memory is missing is removed if it has no
  /// clones.
  ///
  /// - Returns: the size of its memory, which the kernel frees at once.
  /// - Throws: ``HoldfastError`` with the code `noTemplate`; `busy` where a clone or another
  ///   process has the memory open; `notPermitted` or `host`. The template is as it was then.
  /// - Complexity: O(bytes), at the speed at which the kernel frees pages.
  public func remove(_ name: TemplateName) throws(HoldfastError) -> ByteCount {
    let operation = "remove the template '\(name)'"
    let folder: Folder
    var memory: OpenFile?
    var size = ByteCount.zero
    do throws(Errno) {
      folder = try sealed.folder(name.text)
      if (try? folder.status(Template.memoryName))?.isRegular == true {
        let file = try folder.file(Template.memoryName, writable: false)
        size = try file.status().size
        memory = file
      }
    } catch {
      if error == .noSuchFileOrDirectory { throw noTemplateError(name, operation) }
      if error == .wouldBlock {
        throw HoldfastError(
          .busy, operation: operation, reason: "another process removes it", advice: .retry)
      }
      throw HoldfastError(errno: error, operation: operation, reason: "cannot open its files")
    }
    if let memory {
      try proveClosed(memory, timeout: .milliseconds(250), operation) {
        words(for: liveClones(in: folder)) ?? "another process has its memory open"
      }
    } else if let words = words(for: liveClones(in: folder)) {
      throw HoldfastError(
        .busy, operation: operation, reason: words,
        advice: .wait(until: "no process uses it"))
    }
    defer { memory?.endProof() }
    // A process that opened the folder meanwhile opens the memory only when the proof has ended,
    // and the name has gone by then.
    let gone = Self.removedPrefix + RandomID.text()
    try during(operation, "cannot move it") { () throws(Errno) in
      guard try sealed.status(name.text).identity == folder.status().identity else {
        throw .noSuchFileOrDirectory
      }
      try sealed.rename(name.text, to: drafts, gone)
    }
    empty(folder)
    try? drafts.removeFolder(gone)
    return size
  }

  /// `2 clones run on it: a, b`, or nil without clones.
  private func words(for clones: [Clone]) -> String? {
    let names = clones.map(\.name.text)
    guard let first = names.first else { return nil }
    if names.count == 1 { return "the clone \(first) runs on it" }
    return "\(names.count) clones run on it: \(names.prefix(8).joined(separator: ", "))"
      + (names.count > 8 ? " and others" : "")
  }

  /// What the names of folders begin with that are being removed. No template's name does.
  static let removedPrefix = "."

  /// Proves that no other process has a file open or mapped.
  ///
  /// - Parameter reason: why not, for the error.
  func proveClosed(
    _ file: OpenFile, timeout: Duration, _ operation: String, _ reason: () -> String
  ) throws(HoldfastError) {
    do throws(Errno) {
      try file.proveAlone(within: timeout)
    } catch {
      guard error == .wouldBlock else {
        throw HoldfastError(
          errno: error, operation: operation,
          reason: "cannot determine whether a process uses its memory")
      }
      throw HoldfastError(
        .busy, operation: operation, reason: reason(),
        advice: .wait(until: "no process uses it"))
    }
  }

  /// Removes all files of a template's or a draft's folder.
  func empty(_ folder: Folder) {
    if let clones = try? folder.folder(Template.clonesName) {
      for name in (try? clones.names()) ?? [] { try? clones.unlink(name) }
      try? folder.removeFolder(Template.clonesName)
    }
    // The properties first: what is left is no template.
    for name in [Template.aboutName] + ((try? folder.names()) ?? []) { try? folder.unlink(name) }
  }

  /// Completes what processes that were killed have left: seals the drafts whose memory is
  /// complete, and removes the others.
  ///
  /// - Throws: ``HoldfastError`` with the code `host`.
  /// - Complexity: O(drafts).
  public func recover() throws(HoldfastError) {
    let names = try during("recover the templates in \(mount)", "cannot read their folder") {
      () throws(Errno) in try drafts.names()
    }
    for name in names {
      guard let folder = try? drafts.folder(name), (try? folder.tryLock()) == true,
        (try? drafts.status(name))?.identity == (try? folder.status())?.identity
      else { continue }
      if let template = try? TemplateName(name), (try? folder.status(Template.memoryName)) != nil {
        _ = try? finish(template, folder, timeout: .zero)
      } else {
        empty(folder)
        try? drafts.removeFolder(name)
      }
    }
  }

  /// Makes a draft a template, whose machine has stopped for good: proves that no process has the
  /// memory open, and renames the folder.
  func finish(
    _ name: TemplateName, _ folder: Folder, timeout: Duration
  ) throws(HoldfastError) -> Template {
    let operation = "seal the template '\(name)'"
    let about = try about(in: folder, operation)
    let memory = try during(operation, "cannot open its memory") { () throws(Errno) in
      try folder.file(Template.memoryName)
    }
    try proveClosed(memory, timeout: timeout, operation) {
      "another process still has its memory open"
    }
    defer { memory.endProof() }
    try during(operation, "cannot complete its folder") { () throws(Errno) in
      try memory.setPermissions(0o600)
      guard try memory.status().size == about.size else { throw .ioError }
      // The lock of a process that seals stays until the draft has become a template, so that no
      // other takes it in between.
      for name in try folder.names()
      where !Self.sealedNames.contains(name) && name != TemplateDraft.sealingName {
        try folder.unlink(name)
      }
      // Without it a clone asks the file system.
      if let data = MemoryData(of: memory, size: about.size), !isHugetlb {
        try? folder.replace(Template.dataName, with: data.bytes)
      }
      do throws(Errno) {
        _ = try folder.makeOwnFolder(Template.clonesName)
      } catch {
        if error != .fileExists { throw error }
      }
      do throws(Errno) {
        try drafts.rename(name.text, to: sealed, name.text)
      } catch {
        // Another command may have completed it meanwhile.
        guard try sealed.status(name.text).identity == folder.status().identity else { throw error }
      }
    }
    try? folder.unlink(TemplateDraft.sealingName)
    return Template(name, about, path: "\(path)/sealed/\(name)", self, folder, memory)
  }

  private static let sealedNames: Set<String> = [
    Template.memoryName, Template.aboutName, Template.stateName, Template.clonesName,
    Template.workingSetName, Template.dataName,
  ]
}
