internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// What to collect, and how.
public struct CollectOptions: Hashable, Sendable {
  /// Plain leases of at least this age that nobody has open are collected too; nil for none.
  public var age: Duration?
  /// Make orphans ready again where that can be proven safe; else the host gets their memory.
  public var recycles = true
  public var recycling = RecycleOptions()

  public init(age: Duration? = nil, recycles: Bool = true) {
    self.age = age
    self.recycles = recycles
  }
}

/// What was collected.
public struct CollectReport: Hashable, Sendable, Codable {
  /// Left-overs of dead fillers, taken away.
  public var removed = 0
  /// Orphans that are ready again.
  public var recycled = 0
  /// Orphans whose memory went back to the host.
  public var unlinked = 0
  /// The bytes of all three.
  public var bytes = ByteCount.zero
  /// Held leases and files at work, whose lock somebody has.
  public var live = 0
  /// Old plain leases that somebody has open.
  public var inUse = 0
  /// Files that are not the reservoir's, and were left alone: path and reason.
  public var foreign: [String] = []
  /// What should have been collected and could not be: path and error. The others were.
  public var failed: [String] = []

  fileprivate mutating func add(_ size: ByteCount) {
    // Members of a group may make a file of any size.
    bytes = bytes.saturatingSum(size)
  }
}

extension Reservoir {
  /// Takes away what dead processes left: files in filling that nobody has locked, and held leases whose
  /// lock is free. A plain lease is nobody's orphan, since no process holds it: it is collected only by
  /// age, if asked for, and never while somebody has it open.
  ///
  /// The owner collects his own leases and what is in filling, root everybody's, others their own.
  ///
  /// - Parameters:
  ///   - cancellation: ends the call before the next file; the report is of those collected until then.
  ///   - progress: called between files, and from any thread while one is scrubbed.
  public func collect(
    _ options: CollectOptions = CollectOptions(),
    cancellation: CancellationToken = CancellationToken(),
    progress: @escaping @Sendable () -> Void = {}
  ) throws(HoldfastError) -> CollectReport {
    let operation = "collect orphans"
    var report = CollectReport()
    var filling: Folder?
    if isOwner {
      let folder = try openFilling(operation)
      report = try removeLeftovers(folder, operation)
      filling = folder
    } else if options.age != nil {
      throw HoldfastError(
        .notPermitted, operation: operation,
        reason: "only user \(owner) and root can prove that nobody has an old lease open",
        advice: .becomeRoot)
    }
    for (user, folder) in try leaseFolders(operation, foreign: &report.foreign) {
      let names = try during(operation, "\(path)/leased/\(user) cannot be read") {
        () throws(Errno) in try folder.names()
      }
      for name in names {
        progress()
        if cancellation.isCancelled { return report }
        if let problem = Reservoir.problem(name: name) {
          report.foreign.append("\(path)/leased/\(user)/\(name): \(problem)")
          continue
        }
        try collect(name, in: folder, of: user, filling, options, operation, progress, &report)
      }
    }
    return report
  }

  /// Gives all ready memory back to the host, and what dead fillers left. Leases stay.
  ///
  /// - Returns: the files, their bytes, and what is not the reservoir's.
  public func drain() throws(HoldfastError) -> CollectReport {
    let operation = "drain the reservoir"
    let filling = try openFilling(operation)
    var report = try removeLeftovers(filling, operation)
    let names = try during(operation, "\(path)/ready cannot be read") { () throws(Errno) in
      try ready.names()
    }
    for name in names {
      if let problem = Reservoir.problem(name: name) {
        report.foreign.append("\(path)/ready/\(name): \(problem)")
        continue
      }
      do throws(Errno) {
        let status = try ready.status(name)
        if ReadyName(name) == nil || problem(status) != nil {
          report.foreign.append(foreign("ready/\(name)", status))
          continue
        }
        try ready.unlink(name)
        report.unlinked += 1
        report.add(status.allocated)
      } catch {
        // Leased meanwhile.
        if error == .noSuchFileOrDirectory { continue }
        report.failed.append("\(path)/ready/\(name): it cannot be taken away (\(error))")
      }
    }
    return report
  }

  /// Takes files away from filling that nobody has locked.
  func removeLeftovers(
    _ filling: Folder, _ operation: String
  ) throws(HoldfastError) -> CollectReport {
    var report = CollectReport()
    let names = try during(operation, "\(path)/filling cannot be read") { () throws(Errno) in
      try filling.names()
    }
    for name in names {
      do throws(Errno) {
        let status = try filling.status(name)
        guard status.isRegular else {
          report.foreign.append(foreign("filling/\(name)", status))
          continue
        }
        guard let (file, _) = try lockedFile(name, in: filling, writable: false) else {
          report.live += 1
          continue
        }
        try filling.unlink(name)
        withExtendedLifetime(file) {}
        report.removed += 1
        report.add(status.allocated)
      } catch {
        if error == .noSuchFileOrDirectory { continue }
        if error == .permissionDenied {
          // Left by root in another owner's reservoir; nobody else can tell whether it is locked.
          report.foreign.append("\(path)/filling/\(name): only root can take it away (gc)")
          continue
        }
        throw HoldfastError(
          errno: error, operation: operation, reason: "\(path)/filling/\(name) cannot be taken away"
        )
      }
    }
    return report
  }

  /// The folders of leases that the caller may look at, with their users. What is no such folder is told of
  /// and holds up nothing else: where a group may lease, any member can make names there.
  func leaseFolders(
    _ operation: String, foreign: inout [String]
  ) throws(HoldfastError) -> [(user: UInt32, folder: Folder)] {
    let me = geteuid()
    var names = ["\(me)"]
    if me == 0 {
      names = try during(operation, "\(path)/leased cannot be read") { () throws(Errno) in
        try leased.names()
      }
    }
    var folders: [(user: UInt32, folder: Folder)] = []
    for name in names {
      guard let user = UInt32(name), "\(user)" == name else {
        foreign.append("\(path)/leased/\(name): it is no user's number")
        continue
      }
      do throws(HoldfastError) {
        if let folder = try leaseFolder(of: user, operation) { folders.append((user, folder)) }
      } catch {
        guard error.code == .untrusted else { throw error }
        foreign.append(error.reason)
      }
    }
    return folders
  }

  private func collect(
    _ name: String, in folder: Folder, of user: UInt32, _ filling: Folder?,
    _ options: CollectOptions, _ operation: String, _ progress: @escaping @Sendable () -> Void,
    _ report: inout CollectReport
  ) throws(HoldfastError) {
    let lease: LeaseFile
    let found: (file: OpenFile, status: FileStatus)?
    do throws(Errno) {
      let status = try folder.status(name)
      guard let known = LeaseFile(name), status.isRegular, status.owner == owner else {
        report.foreign.append(foreign("leased/\(user)/\(name)", status))
        return
      }
      lease = known
      if !lease.isHeld, !isOld(status, options) { return }
      found = try lockedFile(name, in: folder, writable: true)
      // It may be another one by now.
      if let found, !lease.isHeld, !isOld(found.status, options) { return }
    } catch {
      if error != .noSuchFileOrDirectory {
        report.failed.append("\(path)/leased/\(user)/\(name): it cannot be looked at (\(error))")
      }
      return
    }
    guard let found else {
      report.live += 1
      return
    }
    do throws(HoldfastError) {
      let end = try end(
        Taken(file: found.file, lease: lease, folder: folder), filling, options, operation,
        progress)
      switch end {
      case .recycled(let size):
        report.recycled += 1
        report.add(size)
      case .unlinked(let size, _):
        report.unlinked += 1
        report.add(size)
      }
    } catch {
      // Only of plain leases: orphans are unlinked where they cannot be recycled.
      if error.code == .busy {
        report.inUse += 1
      } else if error.code != .noLease {
        // The others are collected all the same.
        report.failed.append("\(path)/leased/\(user)/\(name): \(error)")
      }
    }
  }

  private func isOld(_ status: FileStatus, _ options: CollectOptions) -> Bool {
    guard let age = options.age else { return false }
    // The file system's clock may be ahead of this one by a part of a second.
    return max(0, Int64(time(nil)) - status.changed) >= age.components.seconds
  }

  private func end(
    _ taken: Taken, _ filling: Folder?, _ options: CollectOptions, _ operation: String,
    _ progress: @escaping @Sendable () -> Void
  ) throws(HoldfastError) -> LeaseEnd {
    let isHeld = taken.lease.isHeld
    var recycling = options.recycling
    // Who uses a plain lease does so for long; only a monitor that has just ended is worth waiting for.
    if !isHeld { recycling.timeout = .zero }
    if let filling, options.recycles {
      return try recycle(
        taken, filling, otherwise: isHeld ? .unlink : .refuse, recycling, operation
      ) { _, _ in progress() }
    }
    // Its age says nothing of whether somebody uses a plain lease.
    if !isHeld, prove(taken.file, timeout: recycling.timeout) != nil {
      throw HoldfastError(.busy, operation: operation, reason: "somebody has it open")
    }
    let start = ContinuousClock.now
    let end = try during(operation, "the orphan cannot be taken away") { () throws(Errno) in
      let file = try taken.file.status()
      try unlink(taken.lease, in: taken.folder, of: file.identity)
      return LeaseEnd.unlinked(file.size, reason: nil)
    }
    tell(end, since: start)
    return end
  }

  private func foreign(_ name: String, _ status: FileStatus) -> String {
    "\(path)/\(name): " + (problem(status) ?? "no reservoir gives such names")
  }
}
