internal import Glibc
package import HoldfastCore
package import HoldfastLinux
internal import SystemPackage

/// The note of a clone in its template's folder, which lasts as long as the lock of its file: until
/// all processes have ended that have it open.
package final class CloneRecord: Sendable {
  /// The open file, which has the lock, for the monitor to inherit.
  package let file: OpenFile
  private let folder: Folder
  private let lock = Lock()
  /// What the file's name says. Protected by `lock`.
  private nonisolated(unsafe) var clone: Clone

  /// The clone's name.
  package let name: TemplateName

  init(_ clone: Clone, _ folder: Folder, _ file: OpenFile) {
    name = clone.name
    unsafe self.clone = clone
    self.folder = folder
    self.file = file
  }

  /// Notes which process is the clone's monitor.
  package func note(_ process: HostProcess) throws(HoldfastError) {
    try change {
      Clone(name: $0.name, process: process, promise: $0.promise, starter: $0.starter)
    }
  }

  /// Notes that the guest runs, which from now on depends on no other process.
  package func noteRunning() throws(HoldfastError) {
    try change { Clone(name: $0.name, process: $0.process, promise: $0.promise) }
  }

  private func change(_ body: (Clone) -> Clone) throws(HoldfastError) {
    let old = lock.withLock { unsafe clone }
    let new = body(old)
    try during("start the clone '\(name)'", "cannot note its process") { () throws(Errno) in
      try folder.rename(old.text, to: folder, new.text)
    }
    lock.withLock { unsafe clone = new }
  }

  /// Removes the note. The clone has ended, or never started.
  package func end() {
    try? folder.unlink(lock.withLock { unsafe clone.text })
  }
}

extension Template {
  /// Notes a clone that is about to start.
  ///
  /// - Parameters:
  ///   - name: its name, which no other clone of the template has.
  ///   - promise: the bytes of private pages that it is promised.
  /// - Throws: code `alreadyExists`, `host` or `notPermitted`.
  package func note(
    clone name: TemplateName, promise: ByteCount
  ) throws(HoldfastError) -> CloneRecord {
    let operation = "start the clone '\(name)'"
    let clone = Clone(
      name: name, process: nil, promise: promise, starter: try? HostProcess(getpid()))
    let notes = try during(operation, "cannot open the folder of clones") { () throws(Errno) in
      try folder.folder(Template.clonesName)
    }
    let record = try during(operation, "cannot note it") { () throws(Errno) -> CloneRecord? in
      try makeRecord(clone, notes)
    }
    if let record { return record }
    throw HoldfastError(
      .alreadyExists, operation: operation, reason: "a clone of the template has that name",
      advice: .useAnotherName)
  }

  /// - Returns: nil where a clone has that name.
  private func makeRecord(_ clone: Clone, _ folder: Folder) throws(Errno) -> CloneRecord? {
    try folder.withLock(timeout: .milliseconds(500)) { () throws(Errno) -> CloneRecord? in
      let live = store.liveClones(inClones: folder)
      if live.contains(where: { $0.name == clone.name }) { return nil }
      let file = try folder.makeOwnFile(clone.text)
      // For its age, which a clock that is set must not change.
      try file.setModified(HostClock.now.boot)
      try file.lock(waiting: false)
      return CloneRecord(clone, folder, file)
    }
  }

  /// The clones that run, by name.
  ///
  /// - Complexity: O(*n* log *n*) for *n* clones.
  package func clones() -> [Clone] { store.liveClones(in: folder) }
}

extension TemplateStore {
  /// Takes the lock that a process has that starts clones, from the check of the memory until the
  /// clones have reserved theirs, so that two that start at once do not count the same memory.
  ///
  /// - Returns: an open folder, which has the lock as long as it is open.
  /// - Throws: code `busy` where another process has it for a minute; `host`.
  package func lockStarts() throws(HoldfastError) -> Folder {
    let operation = "start clones in \(mount)"
    let end = Instant.now + .seconds(60)
    let folder = try during(operation, "cannot open \(path)/sealed") { () throws(Errno) in
      try Folder.open(path: path + "/sealed")
    }
    func isLocked() throws(HoldfastError) -> Bool {
      try during(operation, "cannot lock \(path)/sealed") { () throws(Errno) in
        try folder.tryLock()
      }
    }
    while try !isLocked() {
      guard Instant.now < end else {
        throw HoldfastError(
          .busy, operation: operation,
          reason: "another process has been starting clones for a minute", advice: .retry)
      }
      usleep(1000)
    }
    return folder
  }

  /// The clones whose processes live. Removes the notes of the others, unless another process has
  /// the folder's lock meanwhile.
  func liveClones(in template: Folder) -> [Clone] {
    guard let folder = try? template.folder(Template.clonesName) else { return [] }
    do throws(Errno) {
      return try folder.withLock(timeout: .milliseconds(500)) { () throws(Errno) in
        liveClones(inClones: folder)
      }
    } catch {
      // Without the lock of the folder those of the notes cannot be tried: a clone that starts would
      // find its own taken.
      return ((try? folder.names()) ?? []).compactMap { Clone($0) }.filter {
        ($0.process ?? $0.starter)?.exists ?? false
      }
    }
  }

  /// The same, with the lock of the folder of clones held.
  func liveClones(inClones folder: Folder) -> [Clone] {
    var live: [Clone] = []
    var ending: [(name: String, file: OpenFile)] = []
    let now = HostClock.now.boot
    for name in (try? folder.names()) ?? [] {
      guard let file = try? folder.file(name) else { continue }
      do throws(Errno) {
        try file.lock(waiting: false)
        // Its processes are dead.
        try? folder.unlink(name)
      } catch {
        guard var clone = Clone(name) else { continue }
        if let starter = clone.starter, !starter.exists {
          // Its guest never ran, and never will.
          if let status = try? file.status() { end(processesWith: status) }
          ending.append((name, file))
          continue
        }
        let started = (try? file.status())?.modified ?? 0
        clone.seconds = started > 0 && started <= now ? now - started : nil
        live.append(clone)
      }
    }
    // The next look removes the notes of those that take longer to end.
    let deadline = Instant.now + .milliseconds(200)
    for (name, file) in ending where isFree(file, until: deadline) {
      try? folder.unlink(name)
    }
    return live
  }

  /// Kills the processes that have the file of a note open, which only a clone inherits.
  private func end(processesWith file: FileStatus) {
    for process in HostProcess.all where process != (try? HostProcess(getpid())) {
      if process.hasOpen(file) { try? process.send(SIGKILL) }
    }
  }

  /// Whether all processes have ended that have the file of a note.
  private func isFree(_ file: OpenFile, until deadline: Instant) -> Bool {
    while (try? file.lock(waiting: false)) == nil {
      guard Instant.now < deadline else { return false }
      usleep(500)
    }
    return true
  }
}
