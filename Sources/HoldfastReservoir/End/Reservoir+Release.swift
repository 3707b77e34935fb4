internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// What became of a lease.
public enum LeaseEnd: Hashable, Sendable {
  /// Its memory is zero and ready again.
  case recycled(ByteCount)
  /// Its file is gone; the kernel has the memory once nobody has it mapped. With the reason why it was
  /// not recycled, where that was wanted.
  case unlinked(ByteCount, reason: String?)
}

extension Reservoir {
  /// Gives a lease's memory back to the host: the file goes at once, the memory when the last process that
  /// has it mapped lets go. Costs what the kernel needs to free the pages.
  ///
  /// - Parameter user: whose lease it is, by number; nil for the caller's own.
  /// - Throws: ``HoldfastError``: `noLease`; `inUse` for a held lease while somebody holds it.
  public func release(
    _ name: LeaseName, user: UInt32? = nil
  ) throws(HoldfastError) -> LeaseEnd {
    let start = ContinuousClock.now
    let end = try tellingFailure(of: .release) { () throws(HoldfastError) in
      try unlink(name, user)
    }
    tell(end, since: start)
    return end
  }

  /// Tells of a lease's end.
  func tell(_ end: LeaseEnd, since start: ContinuousClock.Instant) {
    let duration = ContinuousClock.now - start
    switch end {
    case .recycled(let size): tell(ReservoirEvent(.recycle, size: size, duration: duration))
    case .unlinked(let size, _): tell(ReservoirEvent(.release, size: size, duration: duration))
    }
  }

  private func unlink(
    _ name: LeaseName, _ user: UInt32?
  ) throws(HoldfastError) -> LeaseEnd {
    let operation = "release '\(name)'"
    let (folder, file) = try find(name, user: user, operation)
    do throws(Errno) {
      if !file.isHeld {
        // No lock of the file's: its monitor or a member may have that.
        let status = try folder.status(file.text)
        try unlink(file, in: folder, of: status.identity)
        return .unlinked(status.size, reason: nil)
      }
      if let (open, status) = try lockedFile(file.text, in: folder, writable: false) {
        try unlink(file, in: folder, of: status.identity)
        withExtendedLifetime(open) {}
        return .unlinked(status.size, reason: nil)
      }
    } catch {
      // Collected meanwhile.
      if error == .noSuchFileOrDirectory { throw noLease(operation, user ?? geteuid()) }
      throw HoldfastError(
        errno: error, operation: operation, reason: "its file cannot be taken away")
    }
    throw held(file, operation)
  }

  /// Takes a lease's name away.
  func unlink(
    _ lease: LeaseFile, in folder: Folder, of file: FileStatus.Identity
  ) throws(Errno) {
    try withName(lease.text, in: folder, of: file, timeout: Self.folderLockTimeout) {
      () throws(Errno) in try folder.unlink(lease.text)
    }
  }

  /// A user's lease of a name, of either kind.
  func find(
    _ name: LeaseName, user: UInt32?, _ operation: String
  ) throws(HoldfastError) -> (Folder, LeaseFile) {
    let user = user ?? geteuid()
    if let folder = try leaseFolder(of: user, operation) {
      let files = try during(operation, "\(path)/leased/\(user) cannot be read") {
        () throws(Errno) in try leases(name, in: folder)
      }
      for file in files {
        guard let status = try? folder.status(file.text) else { continue }
        guard status.isRegular, status.owner == owner else {
          throw HoldfastError(
            .untrusted, operation: operation,
            reason: "\(path)/leased/\(user)/\(file.text) is not the reservoir's: "
              + (problem(status) ?? "it is \(status.kind)"),
            advice: .run(["rm", "\(path)/leased/\(user)/\(file.text)"], asRoot: false))
        }
        return (folder, file)
      }
    }
    throw noLease(operation, user)
  }

  func noLease(_ operation: String, _ user: UInt32) -> HoldfastError {
    HoldfastError(
      .noLease, operation: operation, reason: "user \(user) has no lease of that name",
      advice: .listLeases)
  }

  func held(_ file: LeaseFile, _ operation: String) -> HoldfastError {
    HoldfastError(
      .busy, operation: operation, reason: "another process holds its lock",
      advice: file.isHeld
        ? .wait(until: "the monitor that runs on it ends") : .retry)
  }
}
