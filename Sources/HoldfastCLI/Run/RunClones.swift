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
    let isEnded = Atomic<Bool>(false)
    let hasFailed = Atomic<Bool>(false)

    init(_ child: ChildProcess, _ record: CloneRecord) {
      self.child = child
      self.record = record
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
        if let thread { threads.append(thread) }
      } catch {
        turn.end()
        failure = error
        break
      }
    }
    if failure != nil {
      for _ in running.count + 1..<max(names.count, running.count + 1) { turn.end() }
      for clone in running { clone.child.end() }
    }
    let statuses = ChildProcess.wait(for: running.map(\.child), signals) { place, _ in
      running[place].isEnded.store(true, ordering: .releasing)
      running[place].record.end()
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
    throw CLIError(
      "cannot promise less than \(template.size) to a clone of '\(template.name)': "
        + (store.isHugetlb
          ? "the kernel can reserve only the whole of a private mapping of huge pages"
          : "no cgroup of its own limits the clone")
        + "; try: without --promise")
  }

  private func names() throws -> [TemplateName] {
    let count = options.count
    let base = name ?? "\(template)-\(RandomID.text().prefix(8))"
    return try (0..<count).map { number in
      try TemplateName(count == 1 ? base : "\(base)-\(number)")
    }
  }

  /// Starts the process of a clone, and a thread that brings it to run.
  private func start(
    _ name: TemplateName, _ number: Int, _ template: Template, _ bytes: [UInt8],
    _ promise: ByteCount, _ signals: ChildSignals, _ turn: StartTurn
  ) throws -> (Running, BackgroundThread?) {
    let operation = "start the clone '\(name)'"
    let record = try template.note(clone: name, promise: promise)
    var isStarted = false
    defer { if !isStarted { record.end() } }
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
    isStarted = true
    let clone = Running(child, record)
    do {
      let process = try during(operation, "cannot look up the monitor") { () throws(Errno) in
        try HostProcess(child.number)
      }
      try record.note(process)
      guard plan.isQEMU else {
        turn.end()
        return (clone, nil)
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
      child.end()
      record.end()
      throw error
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
      receipts?.write(try start.run(socket, state: state, options))
    } catch {
      if !clone.isEnded.load(ordering: .acquiring) { clone.child.end() }
      clone.hasFailed.store(true, ordering: .releasing)
      return Output.report(AdviceText.line(error))
    }
    guard options.prefetches, number == 0, template.workingSet() == nil,
      let mappings = try? start.mappings()
    else { return }
    CloneTouches(template, mappings, process).record {
      clone.isEnded.load(ordering: .acquiring)
    }
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
