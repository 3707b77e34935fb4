internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastMonitor
internal import HoldfastReservoir
internal import HoldfastTemplate
internal import Synchronization
internal import SystemPackage

/// The clones that `holdfast run --template` starts, each in a process of its own.
///
/// One thread for each clone brings it to run; the main thread passes signals on and reaps. A clone
/// that cannot be started is ended and reported, and the others go on.
final class RunClones: Sendable {
  private let template: TemplateName
  private let plan: ClonePlan
  private let options: CloneOptions
  private let name: String?
  private let mount: String?
  private let receipts: ReceiptFile?

  init(
    _ template: TemplateName, _ plan: ClonePlan, _ options: CloneOptions, name: String?,
    mount: String?
  ) throws {
    self.template = template
    self.plan = plan
    self.options = options
    self.name = name
    self.mount = mount
    receipts = try options.receipts.map { try ReceiptFile($0) }
  }

  /// A clone whose process runs.
  private final class Running: Sendable {
    let child: ChildProcess
    let record: CloneRecord
    let cgroup: MemoryCgroup?
    let isEnded = Atomic<Bool>(false)
    let hasFailed = Atomic<Bool>(false)
    /// Whether it is ended because another one cannot be started, or by a signal. Then its own error
    /// is not reported.
    let isAbandoned = Atomic<Bool>(false)

    init(_ child: ChildProcess, _ record: CloneRecord, _ cgroup: MemoryCgroup?) {
      self.child = child
      self.record = record
      self.cgroup = cgroup
    }

    /// The process has ended.
    func end(_ promise: ByteCount) {
      isEnded.store(true, ordering: .releasing)
      record.end()
      guard let cgroup else { return }
      if cgroup.kills > 0 {
        Output.report(
          "the clone '\(record.name)' has ended, because it used up the \(promise) that it was "
            + "promised; try: --promise with more")
      }
      cgroup.remove()
    }
  }

  func run() throws {
    let store = try TemplateStore(mount: try mount.map(absolute) ?? ReservoirMounts.only())
    try store.recover()
    let template = try store.template(self.template)
    let promise = try promise(template, store)
    guard plan.isQEMU || plan.usesState || template.about.stateBytes == 0 else {
      throw CLIError(
        "cannot start a clone of '\(template.name)': its monitor would not load the device state; "
          + "try: {state} in its arguments, which the path of the state replaces")
    }
    let signals = ChildSignals()
    let names = try names()
    // Others that start clones wait, so that all see what is free.
    let turn = StartTurn(try store.lockStarts(), names.count)
    try ClonePromise.check(template, in: store, count: names.count, promise: promise)
    let state = try template.state()
    var running: [Running] = []
    var threads: [BackgroundThread] = []
    var failure: (any Error)?
    for (number, name) in names.enumerated() {
      do {
        let (clone, thread) = try start(name, number, template, state, promise, signals, turn)
        running.append(clone)
        threads.append(thread)
      } catch {
        turn.end()
        failure = error
        break
      }
    }
    if failure != nil {
      for _ in running.count + 1..<max(names.count, running.count + 1) { turn.end() }
      for clone in running {
        clone.isAbandoned.store(true, ordering: .releasing)
        clone.child.end()
      }
    }
    let statuses = ChildProcess.wait(for: running.map(\.child), signals) { number in
      guard [SIGINT, SIGTERM, SIGHUP, SIGQUIT].contains(number) else { return }
      for clone in running { clone.isAbandoned.store(true, ordering: .releasing) }
    } ended: { place, _ in
      running[place].end(promise)
    }
    for thread in threads { thread.join() }
    if let failure { throw failure }
    for (clone, status) in zip(running, statuses) {
      // What was wrong is reported already.
      if clone.hasFailed.load(ordering: .acquiring) { throw ProgramExit(status: CLIError.failure) }
      if status != 0 { throw ProgramExit(status: status) }
    }
  }

  /// The memory that each clone is promised.
  private func promise(_ template: Template, _ store: TemplateStore) throws -> ByteCount {
    Output.note(on: options.promise)
    guard let promise = options.promise?.bytes, promise < template.size else {
      return template.size
    }
    if store.isHugetlb {
      throw CLIError(
        "cannot promise less than \(template.size) to a clone of '\(template.name)': the kernel "
          + "reserves the whole of a private mapping of huge pages, or none of it; try: a template "
          + "on tmpfs or a disk, where a cgroup limits the clone")
    }
    return promise
  }

  /// What a clone's cgroup has room for besides its own pages: the monitor itself.
  private static let monitorBytes = ByteCount.mebibytes(256)

  /// The cgroup of a clone that was promised less than its size, so that it ends by itself when it
  /// needs more, and no other program lacks memory for it.
  private func cgroup(
    _ name: TemplateName, _ template: Template, _ promise: ByteCount
  ) throws(HoldfastError) -> MemoryCgroup? {
    if promise == template.size { return nil }
    do throws(HoldfastError) {
      return try MemoryCgroup("\(template.name)-\(name)", limit: promise + Self.monitorBytes)
    } catch {
      throw HoldfastError(
        error.code, operation: "promise \(promise) to the clone '\(name)'",
        reason: "a memory cgroup would have to limit it, and \(error.reason)", errno: error.errno,
        advice: error.advice)
    }
  }

  private func names() throws -> [TemplateName] {
    let count = options.count
    // Short enough for the numbers and what makes it unique.
    let base = name ?? "\(template.text.prefix(48))-\(RandomID.text().prefix(8))"
    return try (0..<count).map { number in
      try TemplateName(count == 1 ? base : "\(base)-\(number)")
    }
  }

  /// Starts the process of a clone, and a thread that brings it to run.
  private func start(
    _ name: TemplateName, _ number: Int, _ template: Template, _ bytes: [UInt8],
    _ promise: ByteCount, _ signals: ChildSignals, _ turn: StartTurn
  ) throws -> (Running, BackgroundThread) {
    let operation = "start the clone '\(name)'"
    let record = try template.note(clone: name, promise: promise)
    var cgroup: MemoryCgroup?
    var isStarted = false
    defer {
      if !isStarted {
        record.end()
        cgroup?.remove()
      }
    }
    cgroup = try self.cgroup(name, template, promise)
    // A file of its own, since the open file has the position up to which it was read.
    let state = try during(operation, "cannot create a file in memory") { () throws(Errno) in
      try OpenFile.inMemory(bytes)
    }
    let pair = try during(operation, "cannot create a socket") { () throws(Errno) in
      try StreamSocket.pair()
    }
    var words = plan.words(
      ClonePlan.Values(
        name: name, number: number, path: template.memoryPath,
        descriptor: template.memory.descriptor, size: template.size,
        state: template.statePath ?? "/proc/self/fd/\(state.descriptor)"))
    var descriptors = [record.file.descriptor, template.memory.descriptor]
    if plan.usesState { descriptors.append(state.descriptor) }
    if plan.isQEMU {
      words += [
        "-chardev", "socket,id=holdfast,fd=\(pair.theirs.descriptor)", "-mon",
        "chardev=holdfast,mode=control", "-S",
      ].map { Array($0.utf8) }
      if !plan.hasIncoming { words += ["-incoming", "defer"].map { Array($0.utf8) } }
      descriptors.append(pair.theirs.descriptor)
    }
    let begin = Instant.now
    let child = try RunCommand.start(words, inheriting: descriptors, signals)
    let clone = Running(child, record, cgroup)
    do {
      let process = try during(operation, "cannot look up the monitor") { () throws(Errno) in
        try HostProcess(child.number)
      }
      if let cgroup {
        // Before the guest runs, whose pages are what counts.
        try during(operation, "cannot move it into its cgroup") { () throws(Errno) in
          try cgroup.add(process)
        }
      }
      try record.note(process)
      isStarted = true
      guard plan.isQEMU else {
        turn.end()
        try record.noteRunning()
        let thread = try during(operation, "cannot start a thread") { () throws(Errno) in
          try BackgroundThread("holdfast-clone") { [self] in
            watch(clone, name, template, process)
          }
        }
        return (clone, thread)
      }
      let socket = pair.ours
      let start = CloneStart.Options(
        start: begin, promise: promise, loadsState: !plan.hasIncoming,
        prefetches: !options.noPrefetch)
      let thread = try during(operation, "cannot start a thread") { () throws(Errno) in
        try BackgroundThread("holdfast-clone") { [self] in
          bring(clone, name, number, template, process, socket, state, start, turn)
        }
      }
      return (clone, thread)
    } catch {
      // It is reaped with the others.
      isStarted = false
      child.end()
      throw error
    }
  }

  /// Watches a monitor that has no moment at which its mappings could be checked before its guest
  /// runs. One that maps the template shared is ended, and the template is not used again.
  private func watch(
    _ clone: Running, _ name: TemplateName, _ template: Template, _ process: HostProcess
  ) {
    let start = CloneStart(name, of: template, process)
    // Closely at first, when monitors map memory.
    for look in 0... {
      if clone.isEnded.load(ordering: .acquiring) { return }
      if (try? start.mapsShared()) == true {
        clone.hasFailed.store(true, ordering: .releasing)
        try? process.send(SIGKILL)
        template.markChanged()
        return Output.report(
          "the clone '\(name)' was ended, because it mapped the memory shared; the template "
            + "'\(template.name)' may have changed, and is not used again; try: share={share}, or "
            + "a private mapping")
      }
      for _ in 0..<(look < 1000 ? 1 : 200) {
        if clone.isEnded.load(ordering: .acquiring) { return }
        usleep(5000)
      }
    }
  }

  /// Brings a clone to run, and watches the first one of a template.
  private func bring(
    _ clone: Running, _ name: TemplateName, _ number: Int, _ template: Template,
    _ process: HostProcess, _ socket: StreamSocket, _ state: OpenFile,
    _ options: CloneStart.Options, _ turn: StartTurn
  ) {
    let start = CloneStart(name, of: template, process)
    do throws(HoldfastError) {
      defer { turn.end() }
      let receipt = try start.run(socket, state: state, options) { () throws(HoldfastError) in
        try clone.record.noteRunning()
      }
      receipts?.write(receipt)
    } catch {
      // It ends by the signal that it was sent, with the status that it chooses.
      if clone.isAbandoned.load(ordering: .acquiring) { return }
      // By what identifies the process: the main thread may have reaped it.
      try? process.send(SIGKILL)
      clone.hasFailed.store(true, ordering: .releasing)
      return Output.report(AdviceText.line(error))
    }
    guard options.prefetches, let mappings = try? start.mappings() else { return }
    let touches = ClonePages(template, mappings, process)
    if template.workingSet() != nil { return touches.bringInRead() }
    if number == 0 { touches.record { clone.isEnded.load(ordering: .acquiring) } }
  }
}

/// The turn of a process that starts clones, which ends when the memory of all of them is reserved.
private final class StartTurn: Sendable {
  private let lock = Lock()
  /// Has the lock of the store. Protected by `lock`.
  private nonisolated(unsafe) var file: Folder?
  /// The clones that have not reserved their memory. Protected by `lock`.
  private nonisolated(unsafe) var rest: Int

  init(_ file: Folder, _ count: Int) {
    unsafe self.file = file
    unsafe rest = count
  }

  /// A clone has reserved its memory, or failed.
  func end() {
    lock.withLock {
      unsafe rest -= 1
      if unsafe rest <= 0 { unsafe file = nil }
    }
  }
}
