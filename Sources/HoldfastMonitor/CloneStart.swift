internal import Glibc
package import HoldfastCore
package import HoldfastLinux
package import HoldfastTemplate
internal import SystemPackage

/// The start of a clone in QEMU: from a process that waits for its state to a guest that runs.
package struct CloneStart {
  private let template: Template
  private let name: TemplateName
  private let process: HostProcess
  private let operation: String
  private let timeout: Duration

  /// - Parameters:
  ///   - process: the monitor, a child of this process.
  ///   - timeout: how long it may take to answer, and to load the state.
  package init(
    _ name: TemplateName, of template: Template, _ process: HostProcess,
    timeout: Duration = .seconds(120)
  ) {
    self.name = name
    self.template = template
    self.process = process
    self.timeout = timeout
    operation = "start the clone '\(name)'"
  }

  /// How a clone is brought to run.
  package struct Options: Sendable {
    /// When the process was started.
    package var start: Instant
    /// The bytes of private pages that the clone was promised.
    package var promise: ByteCount
    /// Whether the device state is loaded here. Otherwise the monitor loads it by itself.
    package var loadsState: Bool
    /// Whether pages are read that earlier clones have touched.
    package var prefetches: Bool

    package init(start: Instant, promise: ByteCount, loadsState: Bool, prefetches: Bool) {
      self.start = start
      self.promise = promise
      self.loadsState = loadsState
      self.prefetches = prefetches
    }
  }

  /// Checks how the monitor maps the template, loads the state of the devices, and lets the guest
  /// run.
  ///
  /// - Parameters:
  ///   - state: the state, an open file that no other clone reads.
  ///   - note: notes that the guest runs, immediately before it is told to. If the process is killed
  ///     between the two, a clone is left that does not run; the other order could leave one that
  ///     runs and that the next command ends.
  /// - Throws: ``HoldfastError``. The guest does not run then; the caller ends the monitor.
  package func run(
    _ socket: StreamSocket, state: OpenFile, _ options: Options,
    noting note: () throws(HoldfastError) -> Void
  ) throws(HoldfastError) -> CloneStartReceipt {
    let qemu = try asking(nil) { () throws(QMPConnection.Problem) in
      try QMPConnection(socket, timeout: timeout)
    }
    let version = try asking(nil) { () throws(QMPConnection.Problem) in try qemu.version() }
    let answered = Instant.now
    let mappings = try mappings()
    try asking(version) { () throws(QMPConnection.Problem) in
      if options.loadsState {
        try qemu.loadDevices(from: state.descriptor, timeout: timeout)
      } else {
        try waitForState(qemu)
      }
    }
    let begin = Instant.now
    let touches = ClonePages(template, mappings, process)
    let pages = options.prefetches ? touches.bringInWritten() : 0
    let ready = Instant.now
    try note()
    try asking(version) { () throws(QMPConnection.Problem) in _ = try qemu.execute("cont") }
    return CloneStartReceipt(
      name: name.text, template: template.name.text, process: process.number,
      size: template.size, promised: options.promise, version: version, prefetchedPages: pages,
      prefetchSeconds: (ready - begin).seconds,
      answeredSeconds: (answered - options.start).seconds,
      seconds: (Instant.now - options.start).seconds)
  }

  private func asking<Result>(
    _ version: String?, _ body: () throws(QMPConnection.Problem) -> Result
  ) throws(HoldfastError) -> Result {
    do throws(QMPConnection.Problem) {
      return try body()
    } catch {
      throw failure(error, version)
    }
  }

  /// The mappings of the template's memory in the monitor: at least one, and none through which it
  /// could write to the template.
  package func mappings() throws(HoldfastError) -> [ProcessMapping] {
    let all = try allMappings()
    if all.contains(where: { $0.isShared && $0.isWritable }) {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "the monitor maps the memory shared, so the guest would write to the template",
        advice: .other("share={share} or share=off in its arguments"))
    }
    guard all.contains(where: { !$0.isShared && $0.isWritable }) else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "the monitor does not map the template's memory",
        advice: .other(
          "an object memory-backend-file with mem-path={memory} that the machine uses"))
    }
    return all
  }

  /// Whether the monitor could write to the template.
  package func mapsShared() throws(HoldfastError) -> Bool {
    try allMappings().contains { $0.isShared && $0.isWritable }
  }

  private func allMappings() throws(HoldfastError) -> [ProcessMapping] {
    do throws(Errno) {
      return try ProcessMapping.mappings(
        of: try template.memory.status(), path: template.memoryPath, in: process)
    } catch {
      throw HoldfastError(
        errno: error, operation: operation,
        reason: "cannot determine how the monitor maps the template's memory",
        advice: .other("as root, or a monitor that does not change its user"))
    }
  }

  private func waitForState(_ qemu: QMPConnection) throws(QMPConnection.Problem) {
    let end = Instant.now + timeout
    while try qemu.state() == "inmigrate" {
      guard Instant.now < end else { throw .late }
      usleep(1000)
    }
  }

  private func failure(_ problem: QMPConnection.Problem, _ version: String?) -> HoldfastError {
    var reason = "\(problem)"
    if case .ended = problem { reason = "the monitor has ended before the guest ran" }
    let made = template.about.version
    let isOther = made != nil && version != nil && made != version
    if isOther {
      reason += "; it is version \(version ?? ""), and the template was made by \(made ?? "")"
    }
    return HoldfastError(
      .host, operation: operation, reason: reason,
      advice: .other(
        isOther
          ? "QEMU \(made ?? "")"
          : "see what the monitor said above: its machine, devices and sizes must be those of "
            + "'template create'"))
  }
}
