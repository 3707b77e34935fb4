internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Collects what dead processes left behind: files in filling, and held leases, whose lock is
  /// free. No process holds a plain lease, so it is collected only by age, if requested, and never
  /// while a process has it open.
  ///
  /// What is in ready and must not be leased is moved to quarantine. A file that cannot be collected
  /// is named in the report, and the call continues.
  ///
  /// - Parameters:
  ///   - options: what to collect.
  ///   - cancellation: ends the call before the next file; the report covers the files until then.
  ///   - progress: called between files, and from any thread while one is scrubbed.
  /// - Returns: the numbers of files by what was done with them.
  /// - Throws: ``HoldfastError`` with the code `untrusted` or `host` where a folder cannot be read.
  /// - Complexity: O(*n*) for *n* files; plus O(bytes) for those that are scrubbed.
  public func collect(
    _ options: CollectOptions = CollectOptions(),
    cancellation: CancellationToken = CancellationToken(),
    progress: @escaping @Sendable () -> Void = {}
  ) throws(HoldfastError) -> CollectReport {
    let operation = "collect orphans"
    let filling = try openFilling(operation)
    var report = try removeLeftovers(filling, operation)
    let end = options.limit.map { Instant.now + $0 }
    try quarantine(operation, end, cancellation, progress, &report)
    var users = try leaseUsers(operation, foreign: &report.foreign)
    // Each time in another order, so that nobody's leases always come after the end.
    if end != nil {
      // `shuffle` asks the kernel for numbers, and ends the process where it gets none.
      users = users.map { (RandomID.number(), $0) }.sorted { $0.0 < $1.0 }.map(\.1)
    }
    for user in users {
      var (foreign, failed): ([String], [String]) = ([], [])
      let found = leaseNames(of: user, operation, foreign: &foreign, failed: &failed)
      report.foreign += foreign
      report.failed += failed
      for name in found?.names ?? [] {
        guard let folder = found?.folder else { break }
        progress()
        if cancellation.isCancelled { return report }
        if let end, Instant.now >= end {
          report.isCutShort = true
          return report
        }
        if let problem = Reservoir.problem(name: name) {
          report.foreign.append("\(path)/leased/\(user)/\(name): \(problem)")
          continue
        }
        try collect(name, in: folder, of: user, filling, options, operation, progress, &report)
      }
    }
    return report
  }

  /// Moves what is in ready and must not be leased to quarantine, until the end.
  private func quarantine(
    _ operation: String, _ end: Instant?, _ cancellation: CancellationToken,
    _ progress: () -> Void, _ report: inout CollectReport
  ) throws(HoldfastError) {
    var quarantine: Folder?
    for name in try names(in: ready, "ready", operation, beyond: &report.foreign) {
      progress()
      if cancellation.isCancelled { return }
      if let end, Instant.now >= end {
        report.isCutShort = true
        return
      }
      if let problem = Reservoir.problem(name: name) {
        report.foreign.append("\(path)/ready/\(name): \(problem)")
        continue
      }
      guard let status = try? ready.status(name) else { continue }
      let problem = ReadyName(name).map { self.problem(status, named: $0) } ?? Self.foreignName
      guard let problem else { continue }
      let folder = if let quarantine { quarantine } else { try openQuarantine(operation) }
      quarantine = folder
      if setAside(name, in: folder) {
        report.quarantined.append("\(path)/ready/\(name): \(problem)")
      }
    }
  }

  /// Returns all ready memory to the host, and what dead fills left behind, and unlinks what is in
  /// quarantine. Leases stay.
  ///
  /// - Returns: the number of files, their bytes, and the files that are not the reservoir's.
  /// - Throws: ``HoldfastError`` with the code `notPermitted` for other users than the owner and
  ///   root, `untrusted` or `host`.
  /// - Complexity: O(bytes), at the speed at which the kernel frees pages.
  public func drain() throws(HoldfastError) -> CollectReport {
    let operation = "drain the reservoir"
    let filling = try openFilling(operation)
    var report = try removeLeftovers(filling, operation)
    let names = try names(in: ready, "ready", operation, beyond: &report.foreign)
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
        report.released += 1
        report.add(status.allocated)
      } catch {
        // Leased concurrently.
        if error == .noSuchFileOrDirectory { continue }
        report.failed.append("\(path)/ready/\(name): cannot unlink the file (\(error))")
      }
    }
    try drainQuarantine(operation, &report)
    return report
  }

  private func drainQuarantine(
    _ operation: String, _ report: inout CollectReport
  ) throws(HoldfastError) {
    let quarantine = try openQuarantine(operation)
    for name in try names(in: quarantine, "quarantine", operation, beyond: &report.foreign) {
      do throws(Errno) {
        let status = try quarantine.status(name)
        try quarantine.unlink(name)
        report.removed += 1
        report.add(status.allocated)
      } catch {
        if error == .noSuchFileOrDirectory { continue }
        report.failed.append("\(path)/quarantine/\(name): cannot unlink it (\(error))")
      }
    }
  }

  /// Unlinks the files in filling whose lock is free.
  func removeLeftovers(
    _ filling: Folder, _ operation: String
  ) throws(HoldfastError) -> CollectReport {
    var report = CollectReport()
    let names = try names(in: filling, "filling", operation, beyond: &report.foreign)
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
          // Left by root in the reservoir of another owner, who cannot open it to test its lock.
          report.foreign.append("\(path)/filling/\(name): only root can remove it (gc)")
          continue
        }
        throw HoldfastError(
          errno: error, operation: operation, reason: "cannot unlink \(path)/filling/\(name)"
        )
      }
    }
    return report
  }

  private func collect(
    _ name: String, in folder: Folder, of user: UInt32, _ filling: Folder,
    _ options: CollectOptions, _ operation: String, _ progress: @escaping @Sendable () -> Void,
    _ report: inout CollectReport
  ) throws(HoldfastError) {
    let lease: LeaseFile
    let found: (file: OpenFile, status: FileStatus)?
    do throws(Errno) {
      let status = try folder.status(name)
      guard let known = LeaseFile(name), status.isRegular,
        mayOwn(status.owner, leasedBy: user)
      else {
        report.foreign.append(foreign("leased/\(user)/\(name)", status))
        return
      }
      lease = known
      if !lease.isHeld, !isOld(status, options, &report) { return }
      found = try lockedFile(name, in: folder, writable: true)
      // The name may refer to another file by now.
      if let found, !lease.isHeld, !isOld(found.status, options, &report) { return }
    } catch {
      if error != .noSuchFileOrDirectory {
        report.failed.append("\(path)/leased/\(user)/\(name): cannot open the file (\(error))")
      }
      return
    }
    guard let found else {
      report.live += 1
      return
    }
    do throws(HoldfastError) {
      let end = try recycleOrRelease(
        LockedLease(file: found.file, lease: lease, folder: folder, user: user), filling, options,
        operation, progress)
      switch end {
      case .recycled(let size):
        report.recycled += 1
        report.add(size)
      case .replaced(let size):
        report.replaced += 1
        report.add(size)
      case .released(let size, _):
        report.released += 1
        report.add(size)
      }
    } catch {
      // Only for plain leases and those of members: others are released where they cannot be
      // recycled.
      if error.code == .busy {
        report.inUse += 1
      } else if error.code != .noLease {
        // The other files are still collected.
        report.failed.append("\(path)/leased/\(user)/\(name): \(error.during("").statement)")
      }
    }
  }

  private func isOld(
    _ status: FileStatus, _ options: CollectOptions, _ report: inout CollectReport
  ) -> Bool {
    guard let age = options.age else { return false }
    let advance = max(0, options.clockAdvance.bounded.components.seconds)
    guard let seconds = LeaseAge.seconds(status, at: .now, advance: advance) else {
      report.undated += 1
      return false
    }
    return seconds >= age.bounded.components.seconds
  }

  /// Recycles or releases a lease, as the options say.
  private func recycleOrRelease(
    _ taken: LockedLease, _ filling: Folder, _ options: CollectOptions, _ operation: String,
    _ progress: @escaping @Sendable () -> Void
  ) throws(HoldfastError) -> LeaseEnd {
    let isHeld = taken.lease.isHeld
    var recycling = options.recycling
    // A plain lease that is in use stays so for long; only a monitor that has just ended is waited
    // for.
    if !isHeld { recycling.timeout = .zero }
    if options.recycling.reuse != .release, !isMember(taken.user) {
      return try recycle(
        taken, filling, otherwise: isHeld ? .release : .refuse, recycling, operation
      ) { _, _ in progress() }
    }
    // A plain lease of any age may be in use. So may what is left of a member's held lease, which
    // counts towards the limits until the memory is really free.
    if !isHeld || isMember(taken.user),
      proveUnshared(taken.file, timeout: isHeld ? .zero : recycling.timeout) != nil
    {
      throw HoldfastError(.busy, operation: operation, reason: "a process has it open")
    }
    let start = Instant.now
    let end = try during(operation, "cannot unlink the orphan") { () throws(Errno) in
      let file = try taken.file.status()
      try unlink(taken.lease, in: taken.folder, of: file.identity)
      return LeaseEnd.released(file.size, reason: nil)
    }
    report(end, since: start)
    return end
  }

  private func foreign(_ name: String, _ status: FileStatus) -> String {
    "\(path)/\(name): " + (problem(status) ?? Reservoir.foreignName)
  }
}
