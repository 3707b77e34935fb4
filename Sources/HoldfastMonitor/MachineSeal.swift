internal import Glibc
package import HoldfastCore
internal import HoldfastLinux
package import HoldfastReservoir
package import HoldfastTemplate
internal import SystemPackage

/// The last moments of a machine that becomes a template.
///
/// 1. The machine is stopped, and the state of its devices saved, by QMP or by another program.
/// 2. The monitor itself is stopped (SIGSTOP), so that nothing can let the machine go on.
/// 3. State and properties are written to the draft.
/// 4. The memory is moved to the draft: this commits it. Until now everything can be taken back, and
///    is where a step fails: the machine goes on.
/// 5. The monitor is killed. When it has the memory open no longer, the draft becomes a template.
///
/// A process that is killed before step 4 leaves a machine that is stopped, and can be sealed
/// again. One that is killed later leaves a draft that the next command completes.
package struct MachineSeal {
  /// Where the memory of the machine is.
  package enum Memory {
    /// In a lease of the reservoir on the same mount.
    case lease(Reservoir, LeaseName)
    /// In the draft.
    case draft
  }

  /// What saves the state of the devices.
  package enum Saver {
    /// QEMU.
    case qemu(QMPConnection)
    /// Another program, which has saved it already.
    case other(state: [UInt8])
  }

  private let draft: TemplateDraft
  private let memory: Memory
  private let operation: String
  /// How long the devices may take to save their state.
  private let timeout: Duration

  package init(_ draft: TemplateDraft, _ memory: Memory, timeout: Duration = .seconds(120)) {
    self.draft = draft
    self.memory = memory
    self.timeout = timeout
    operation = "seal the template '\(draft.name)'"
  }

  /// The name of the lease of a template's machine.
  package static func leaseName(_ template: TemplateName) throws(HoldfastError) -> LeaseName {
    try LeaseName("template-\(template)")
  }

  /// Completes a draft that another process has committed before it was killed.
  ///
  /// - Returns: nil where the draft is not committed.
  package func completed() throws(HoldfastError) -> SealReceipt? {
    guard draft.isCommitted else { return nil }
    let status = try during(operation, "cannot stat its memory") { () throws(Errno) in
      try draft.committedStatus()
    }
    for process in HostProcess.all {
      let mappings = try? ProcessMapping.mappings(of: status, path: "", in: process)
      if mappings?.isEmpty == false { try? process.send(SIGKILL) }
    }
    try? draft.monitor?.send(SIGKILL)
    return try complete(since: Instant.now)
  }

  /// The processes of the machine: the one that was started, and all that map the memory, which a
  /// shell may have started in turn. They map it shared: otherwise the file has not what the guest
  /// wrote.
  private func processes() throws(HoldfastError) -> (all: [HostProcess], FileStatus) {
    guard let process = draft.monitor, process.exists else {
      throw HoldfastError(
        .noTemplate, operation: operation, reason: "its monitor has ended",
        advice: .other("start it again with 'template create'"))
    }
    let (path, status) =
      switch memory {
      case .lease(let reservoir, let name): try file(reservoir, name)
      case .draft: (draft.memoryPath, try draftStatus())
      }
    var all = [process]
    var isPrivate = false
    // Where the monitor has changed its user, this process may not see what it maps.
    var isMapped = (try? ProcessMapping.mappings(of: status, path: path, in: process)) == nil
    for other in HostProcess.all {
      let mappings = (try? ProcessMapping.mappings(of: status, path: path, in: other)) ?? []
      if mappings.contains(where: { $0.isShared }) {
        isMapped = true
        if other != process { all.append(other) }
      } else if !mappings.isEmpty {
        isPrivate = true
      }
    }
    if isPrivate {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "the monitor maps the memory privately, so the file lacks what the guest wrote",
        advice: .other("share={share} or share=on in the arguments of 'template create'"))
    }
    guard isMapped else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "its monitor does not map the memory that it was given",
        advice: .other("{memory} or {fd} in an argument of the monitor that is about memory"))
    }
    return (all, status)
  }

  private func file(
    _ reservoir: Reservoir, _ name: LeaseName
  ) throws(HoldfastError) -> (String, FileStatus) {
    let file = try reservoir.file(ofLease: name, operation)
    return (file.path, file.status)
  }

  private func draftStatus() throws(HoldfastError) -> FileStatus {
    try during(operation, "cannot stat its memory") { () throws(Errno) in
      try draft.memoryStatus()
    }
  }

  /// Lets the monitor go on, which another process has stopped that was killed while it sealed the
  /// machine. Called before the monitor is asked for anything.
  ///
  /// - Throws: ``HoldfastError`` where there is nothing to seal.
  package func wake() throws(HoldfastError) {
    for process in try processes().all { try? process.send(SIGCONT) }
  }

  /// Stops the machine, and makes a template of it. `wake` has been called.
  ///
  /// - Throws: ``HoldfastError``. Before the commit the machine goes on as before.
  package func seal(_ saver: Saver) throws(HoldfastError) -> SealReceipt {
    let (processes, status) = try processes()
    let start = Instant.now
    var version: String?
    let state: [UInt8]
    var wasRunning = false
    switch saver {
    case .qemu(let qemu):
      do throws(QMPConnection.Problem) {
        version = try qemu.version()
        wasRunning = try qemu.state() == "running"
        _ = try qemu.execute("stop")
      } catch {
        throw failure(error)
      }
      do throws(HoldfastError) {
        state = try save(qemu)
      } catch {
        goOn(saver, wasRunning)
        throw error
      }
    case .other(let saved): state = saved
    }
    do throws(HoldfastError) {
      try during(operation, "cannot stop the monitor") { () throws(Errno) in
        for process in processes { try process.send(SIGSTOP) }
      }
      let about = TemplateAbout(
        size: status.size, pageSize: draft.store.pageSize, monitor: processes.last?.program,
        version: version, created: HostClock.now.real, stateBytes: state.count)
      try draft.writeState(state)
      try draft.writeAbout(about)
      switch memory {
      case .lease(let reservoir, let name):
        let file = try reservoir.file(ofLease: name, operation)
        try draft.commit { folder, memory throws(HoldfastError) in
          try reservoir.move(file, to: folder, memory, operation)
        }
      case .draft: try draft.commit()
      }
    } catch {
      draft.takeBack()
      for process in processes { try? process.send(SIGCONT) }
      goOn(saver, wasRunning)
      throw error
    }
    for process in processes { try? process.send(SIGKILL) }
    return try complete(since: start)
  }

  private func save(_ qemu: QMPConnection) throws(HoldfastError) -> [UInt8] {
    let file = try during(operation, "cannot create a file in memory") { () throws(Errno) in
      try OpenFile.inMemory()
    }
    do throws(QMPConnection.Problem) {
      try qemu.saveDevices(to: file.descriptor, timeout: timeout)
    } catch {
      throw failure(error)
    }
    return try during(operation, "cannot read the device state") { () throws(Errno) in
      try file.bytes(count: Int(clamping: file.status().size.rawValue))
    }
  }

  private func goOn(_ saver: Saver, _ wasRunning: Bool) {
    if case .qemu(let qemu) = saver, wasRunning { _ = try? qemu.execute("cont") }
  }

  private func failure(_ problem: QMPConnection.Problem) -> HoldfastError {
    let advice: Advice? =
      switch problem {
      case .refused: .other("a machine without the device that QEMU names")
      case .late: .retry
      case .ended: .other("start it again with 'template create'")
      case .nonsense: .other("the path of a QMP socket")
      case .failed: nil
      }
    return HoldfastError(
      .host, operation: operation, reason: "\(problem)", advice: advice)
  }

  private func complete(since start: Instant) throws(HoldfastError) -> SealReceipt {
    let template = try draft.finish(timeout: .seconds(30))
    let about = template.about
    return SealReceipt(
      name: draft.name.text, path: template.path, size: about.size, pageSize: about.pageSize,
      stateBytes: about.stateBytes, monitor: about.monitor, version: about.version,
      seconds: (Instant.now - start).seconds)
  }
}
