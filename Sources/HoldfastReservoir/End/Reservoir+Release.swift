internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Returns a lease's memory to the host. The file is unlinked at once; the kernel frees and
  /// zeroes the memory when no process has it mapped or pinned.
  ///
  /// - Parameters:
  ///   - name: the lease's name.
  ///   - user: the ID of the user who has the lease; nil for the calling user.
  /// - Returns: the size of the memory, as ``LeaseEnd/released(_:reason:)``.
  /// - Throws: ``HoldfastError`` with the code `noLease`; `busy` for a held lease whose lock a
  ///   process has; `notPermitted`, `untrusted` or `host`.
  /// - Complexity: O(bytes), at the speed at which the kernel frees pages.
  public func release(
    _ name: LeaseName, user: UInt32? = nil
  ) throws(HoldfastError) -> LeaseEnd {
    let start = Instant.now
    let end = try reportingFailure(of: .release) { () throws(HoldfastError) in
      try unlink(name, user)
    }
    report(end, since: start)
    return end
  }

  /// Reports a lease's end.
  func report(_ end: LeaseEnd, since start: Instant) {
    let duration = Instant.now - start
    switch end {
    case .recycled(let size): report(ReservoirEvent(.recycle, size: size, duration: duration))
    case .replaced(let size), .released(let size, _):
      report(ReservoirEvent(.release, size: size, duration: duration))
    }
  }

  /// Releases a lease for its user, who must not use it any longer: the memory would otherwise stay
  /// with the user's processes and no longer count towards the limits.
  ///
  /// - Throws: as ``release(_:user:)``; `busy` where a process has the memory open or mapped.
  package func release(
    _ name: LeaseName, forUser user: UInt32
  ) throws(HoldfastError) -> LeaseEnd {
    guard isMember(user) else { return try release(name, user: user) }
    let start = Instant.now
    let end = try reportingFailure(of: .release) { () throws(HoldfastError) in
      try unlinkUnused(name, user)
    }
    report(end, since: start)
    return end
  }

  private func unlinkUnused(
    _ name: LeaseName, _ user: UInt32
  ) throws(HoldfastError) -> LeaseEnd {
    let operation = "release '\(name)'"
    let (folder, file) = try find(name, user: user, operation)
    var problem: Errno?
    do throws(Errno) {
      if let (open, status) = try lockedFile(file.text, in: folder, writable: false) {
        problem = proveUnshared(open, timeout: Self.closingTimeout)
        if problem == nil {
          try unlink(file, in: folder, of: status.identity)
          return .released(status.size, reason: nil)
        }
      }
    } catch {
      // Collected concurrently.
      if error == .noSuchFileOrDirectory { throw noLeaseError(operation, user) }
      throw HoldfastError(
        errno: error, operation: operation, reason: "cannot unlink its file")
    }
    guard let problem else { throw lockedError(file, operation) }
    guard problem == .wouldBlock else {
      throw HoldfastError(
        errno: problem, operation: operation,
        reason: "cannot determine whether a process uses its memory")
    }
    throw HoldfastError(
      .busy, operation: operation, reason: Self.openElsewhere,
      advice: .wait(until: "that process ends"))
  }

  /// How long a process that has just ended may take to close its files.
  static let closingTimeout = Duration.milliseconds(250)

  private func unlink(
    _ name: LeaseName, _ user: UInt32?
  ) throws(HoldfastError) -> LeaseEnd {
    let operation = "release '\(name)'"
    let (folder, file) = try find(name, user: user, operation)
    do throws(Errno) {
      if !file.isHeld {
        // Without the lock of the file, which its monitor may have.
        let status = try folder.status(file.text)
        try unlink(file, in: folder, of: status.identity)
        return .released(status.size, reason: nil)
      }
      if let (open, status) = try lockedFile(file.text, in: folder, writable: false) {
        try unlink(file, in: folder, of: status.identity)
        withExtendedLifetime(open) {}
        return .released(status.size, reason: nil)
      }
    } catch {
      // Collected concurrently.
      if error == .noSuchFileOrDirectory { throw noLeaseError(operation, user ?? geteuid()) }
      throw HoldfastError(
        errno: error, operation: operation, reason: "cannot unlink its file")
    }
    throw lockedError(file, operation)
  }

  /// Removes a lease's name.
  func unlink(
    _ lease: LeaseFile, in folder: Folder, of file: FileStatus.Identity
  ) throws(Errno) {
    try withName(lease.text, in: folder, of: file, timeout: Self.folderLockTimeout) {
      () throws(Errno) in try folder.unlink(lease.text)
    }
  }

  /// Finds a user's lease of a name, plain or held.
  func find(
    _ name: LeaseName, user: UInt32?, _ operation: String
  ) throws(HoldfastError) -> (Folder, LeaseFile) {
    let user = user ?? geteuid()
    if let folder = try leaseFolder(of: user, operation) {
      let files = try during(operation, "cannot read \(path)/leased/\(user)") {
        () throws(Errno) in try leases(name, in: folder)
      }
      for file in files {
        guard let status = try? folder.status(file.text) else { continue }
        guard status.isRegular, mayOwn(status.owner, leasedBy: user) else {
          throw HoldfastError(
            .untrusted, operation: operation,
            reason: "\(path)/leased/\(user)/\(file.text) is not a file of the reservoir: "
              + (problem(status, leasedBy: user) ?? "it is \(status.kind)"),
            advice: .run(["rm", "\(path)/leased/\(user)/\(file.text)"], asRoot: false))
        }
        return (folder, file)
      }
    }
    throw noLeaseError(operation, user)
  }

  /// The error that a user has no such lease.
  func noLeaseError(_ operation: String, _ user: UInt32) -> HoldfastError {
    HoldfastError(
      .noLease, operation: operation, reason: "user \(user) has no lease of that name",
      advice: .listLeases)
  }

  /// The error that another process has the lock of a lease.
  func lockedError(_ file: LeaseFile, _ operation: String) -> HoldfastError {
    HoldfastError(
      .busy, operation: operation, reason: "another process holds its lock",
      advice: file.isHeld
        ? .wait(until: "the monitor that runs on it ends") : .retry)
  }
}
