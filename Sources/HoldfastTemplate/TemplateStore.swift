internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// The templates on a mount: machines that were stopped, of which clones are started.
///
/// The file system is the database, as it is of the reservoir: the object keeps nothing in memory,
/// and a process may be killed between any two steps.
///
///     <mount>/holdfast/templates/drafts/<name>/    a machine that will be a template
///     <mount>/holdfast/templates/sealed/<name>/    a template
///       memory        the memory; a draft has it from the moment on at which the machine has stopped
///       about         the properties
///       state         the device state, where the monitor saved one
///       data          which parts of the memory are not holes, except on hugetlbfs
///       touched       the pages that a clone touched first, where one was watched
///       changed       there if a monitor may have written to the memory
///       clones/<name>@<process>.<start>.<promise>  a clone, as long as its lock is held
///
/// | state | may change it | ``recover()`` |
/// |---|---|---|
/// | draft, locked | the processes that have the lock: the monitor and its parent | skips it |
/// | draft, unlocked, without `memory` | (its processes are dead) | removes it |
/// | draft, unlocked, with `memory` | (its processes are dead) | seals it |
/// | sealed | no process changes `memory`, `about` and `state`; `remove` removes it | skips it |
/// | clone, unlocked | (its processes are dead) | removes its record |
///
/// A draft becomes a template by one rename(2), after the kernel has proven that no process has the
/// memory open or mapped (F_SETLEASE). A template is removed only after the same proof: a clone,
/// and a process that is about to start one, has the memory open.
///
/// Only the owner of the folders and root can use them. A template lies on hugetlbfs, where a clone
/// copies huge pages; on tmpfs; or on another file system, where all clones share the page cache.
/// On the latter two a clone copies pages of 4 KiB.
///
/// A store is safe to use from any thread and process.
public final class TemplateStore: Sendable {
  /// The mount point, or the folder, that has the templates.
  public let mount: String
  /// The size of the pages that clones copy.
  public let pageSize: ByteCount
  /// Whether the memory consists of huge pages on hugetlbfs.
  public let isHugetlb: Bool
  /// The ID of the user who, like root, may use the templates.
  public let owner: UInt32
  /// Whether a reservoir is on the same mount.
  package let hasReservoir: Bool
  /// Whether the memory of templates is that of the host, on hugetlbfs or tmpfs, and so is in use
  /// for as long as the template exists.
  package let isMemory: Bool

  let drafts: Folder
  let sealed: Folder

  /// The largest page that a clone may copy at once.
  private static let largestPage = ByteCount.mebibytes(32)

  /// Opens the templates on a mount, or in a folder of any file system, and creates their folders
  /// where they are missing.
  ///
  /// - Parameter mount: the mount point or the folder.
  /// - Throws: ``HoldfastError`` with the code `host` where the folder cannot be opened,
  ///   `untrusted` where a user other than the owner and root may have changed what is in it,
  ///   `notPermitted` where this user is neither, `unsupported` on hugetlbfs with pages of more
  ///   than 32 MiB.
  public init(mount: String) throws(HoldfastError) {
    let operation = "open the templates in \(mount)"
    let advice = Advice.other("an existing folder of your own, such as a mount of hugetlbfs")
    let place = try during(operation, "the folder does not open", advice: advice) {
      () throws(Errno) in try Folder.open(path: mount)
    }
    let (system, status) = try during(operation, "cannot stat the folder") { () throws(Errno) in
      (try place.fileSystem(), try place.status())
    }
    isHugetlb = system.kind == .hugetlbfs
    isMemory = system.kind != .other
    // The block of another file system says nothing of what a clone copies.
    pageSize = isHugetlb ? system.pageSize : .kibibytes(4)
    guard pageSize <= Self.largestPage else {
      throw HoldfastError(
        .unsupported, operation: operation,
        reason: "its pages have \(pageSize), and a clone would copy one at each first write to it",
        advice: .other("a mount of hugetlbfs with pages of 2 MiB"))
    }
    let top = try Self.make("holdfast", in: place, operation)
    let templates = try Self.make("templates", in: top, operation)
    let found = try during(operation, "cannot stat its folders") { () throws(Errno) in
      try templates.status()
    }
    if let problem = FolderTrust.problem(mount: status, ownedBy: found.owner)
      ?? FolderTrust.problem(above: mount)
    {
      throw HoldfastError(
        .untrusted, operation: operation, reason: problem,
        advice: .other("a folder that only you or root may write to"))
    }
    drafts = try Self.make("drafts", in: templates, operation)
    sealed = try Self.make("sealed", in: templates, operation)
    for folder in [templates, drafts, sealed] {
      let status = try during(operation, "cannot stat its folders") { () throws(Errno) in
        try folder.status()
      }
      guard status.owner == found.owner, status.permissions & 0o077 == 0 else {
        throw HoldfastError(
          .untrusted, operation: operation,
          reason: "its folders have different owners or allow access to other users",
          advice: .inspectAndRemove(path: mount + "/holdfast/templates"))
      }
    }
    owner = found.owner
    hasReservoir = (try? top.status("ready"))?.isFolder == true
    self.mount = mount
  }

  /// Whether a mount has a folder of templates.
  package static func isPresent(onMount mount: String) -> Bool {
    (try? Folder.open(path: mount).folder("holdfast").status("templates"))?.isFolder == true
  }

  /// What the limits of the file system itself leave: the free bytes, nil without a limit, and the
  /// bytes of them that hugetlbfs keeps for the mount (`min_size=`).
  package func mountRoom() -> (free: ByteCount?, reserved: ByteCount) {
    let system = try? sealed.fileSystem()
    guard let minimum = HugetlbMounts.minimumSize(of: mount) else { return (system?.free, .zero) }
    // Without `size=` the use is unknown.
    let used = system?.total.map { $0 - min($0, system?.free ?? .zero) } ?? .zero
    return (system?.free, minimum - min(minimum, used))
  }

  /// Opens a folder, or creates it for the owner of the one that it is in.
  private static func make(
    _ name: String, in folder: Folder, _ operation: String
  ) throws(HoldfastError) -> Folder {
    do throws(Errno) {
      do throws(Errno) {
        return try folder.folder(name)
      } catch {
        guard error == .noSuchFileOrDirectory else { throw error }
      }
      // In the mount's own folder it is the caller's.
      if name == "holdfast" {
        try folder.makeFolder(name, permissions: 0o700)
        return try folder.folder(name)
      }
      return try folder.makeOwnFolder(name)
    } catch {
      // Another process has created it since.
      if error == .fileExists, let made = try? folder.folder(name) { return made }
      if error == .permissionDenied {
        let owner = (try? folder.status(name))?.owner ?? (try? folder.status())?.owner
        throw HoldfastError(
          .notPermitted, operation: operation,
          reason: "only " + (owner.map { "user \($0), who owns them," } ?? "their owner")
            + " and root may use the templates", advice: .becomeRoot)
      }
      throw HoldfastError(
        errno: error, operation: operation, reason: "cannot open or create the folder '\(name)'")
    }
  }

  /// The folder of all templates, `<mount>/holdfast/templates`.
  public var path: String {
    mount + (mount.hasSuffix("/") ? "" : "/") + "holdfast/templates"
  }

  /// Opens a template.
  ///
  /// - Throws: ``HoldfastError`` with the code `noTemplate`; `busy` where another process removes
  ///   it; `untrusted` where its files are not as a template's; `host`.
  /// - Complexity: a few system calls.
  public func template(_ name: TemplateName) throws(HoldfastError) -> Template {
    let operation = "open the template '\(name)'"
    let folder: Folder
    do throws(Errno) {
      folder = try sealed.folder(name.text)
    } catch {
      guard error == .noSuchFileOrDirectory else {
        throw HoldfastError(
          errno: error, operation: operation, reason: "cannot open \(path)/sealed/\(name)")
      }
      throw noTemplateError(name, operation)
    }
    if (try? folder.status(Template.changedName)) != nil {
      throw HoldfastError(
        .untrusted, operation: operation, reason: "a monitor may have written to its memory",
        advice: .other("another template, and remove this one"))
    }
    let about = try about(in: folder, operation)
    let memory: OpenFile
    let status: FileStatus
    do throws(Errno) {
      memory = try folder.file(Template.memoryName, writable: false)
      status = try memory.status()
    } catch {
      // A removal proves at this moment that the memory is open nowhere, or has moved the folder.
      let isRemoved = (try? sealed.status(name.text))?.identity != (try? folder.status().identity)
      if error == .wouldBlock || (error == .noSuchFileOrDirectory && isRemoved) {
        throw HoldfastError(
          .busy, operation: operation, reason: "another process removes it", advice: .retry)
      }
      throw HoldfastError(
        errno: error, operation: operation, reason: "cannot open its memory",
        advice: .other("another template, and remove this one"))
    }
    guard status.isRegular, status.owner == owner, status.links == 1,
      status.permissions & 0o077 == 0, status.size == about.size
    else {
      throw HoldfastError(
        .untrusted, operation: operation,
        reason: "its memory is \(status.kind) of user \(status.owner) with \(status.size), "
          + "\(status.links) names and the mode \(String(status.permissions, radix: 8)), "
          + "not the template's own file",
        advice: .inspectAndRemove(path: "\(path)/sealed/\(name)"))
    }
    return Template(
      name, about, path: "\(path)/sealed/\(name)", self, folder, memory)
  }

  /// Reads the properties in the folder of a template or a draft.
  func about(in folder: Folder, _ operation: String) throws(HoldfastError) -> TemplateAbout {
    let advice = Advice.other("another template, and remove this one")
    let bytes = try during(operation, "cannot read its properties", advice: advice) {
      () throws(Errno) in
      try folder.file(Template.aboutName, writable: false).bytes(count: TemplateAbout.longest)
    }
    let text = String(validating: bytes.prefix { $0 != 0 }, as: UTF8.self) ?? ""
    guard let about = TemplateAbout(text), about.stateBytes <= 1 << 30 else {
      if TemplateAbout.isNewer(text) {
        throw HoldfastError(
          .unsupported, operation: operation, reason: "a newer holdfast made it",
          advice: .other("that holdfast"))
      }
      throw HoldfastError(
        .untrusted, operation: operation,
        reason: "the file of its properties is not one that holdfast wrote",
        advice: .other("another template, and remove this one"))
    }
    return about
  }

  func noTemplateError(_ name: TemplateName, _ operation: String) -> HoldfastError {
    let names = (try? sealed.names(atMost: 8))?.names ?? []
    return HoldfastError(
      .noTemplate, operation: operation,
      reason: names.isEmpty
        ? "\(mount) has no templates"
        : "\(mount) has no template of that name, but " + names.joined(separator: ", "),
      advice: .other(names.isEmpty ? "create one" : "one of these"))
  }

  /// The names of all templates, sorted.
  ///
  /// - Throws: ``HoldfastError`` with the code `host`.
  /// - Complexity: O(*n* log *n*) for *n* templates.
  public func names() throws(HoldfastError) -> [TemplateName] {
    try names(in: sealed)
  }

  /// The names of machines that are to become templates, sorted.
  package func draftNames() throws(HoldfastError) -> [TemplateName] {
    try names(in: drafts)
  }

  private func names(in folder: Folder) throws(HoldfastError) -> [TemplateName] {
    let names = try during("list the templates in \(mount)", "cannot read their folder") {
      () throws(Errno) in try folder.names()
    }
    return names.compactMap { try? TemplateName($0) }
  }
}
