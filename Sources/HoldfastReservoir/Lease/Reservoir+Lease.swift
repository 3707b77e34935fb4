internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Leases memory: a file of exactly the size, otherwise the smallest larger file, truncated to
  /// the size, otherwise, where the request allows it, the largest smaller file, extended to the
  /// size. One rename(2) decides which process gets a file; a process that loses it takes the next
  /// one. A file is leased only if the kernel proves that no other process has it open.
  ///
  /// - Parameters:
  ///   - request: the memory to lease.
  ///   - cancellation: ends the call while it waits for memory or extends a file.
  /// - Returns: the lease.
  /// - Throws: ``HoldfastError`` with the code `noReadyMemory` where no file satisfies the request,
  ///   `alreadyExists` where the user has a lease of that name, `invalidArgument` where the size is
  ///   not a multiple of the page size, `resourceShortage` where a file could not be extended,
  ///   `cancelled`, `noLease` where another process of the user released the new lease at once,
  ///   `notPermitted`, `untrusted` or `host`. A file that was taken is then ready again, or, where
  ///   that cannot be proven safe, unlinked.
  /// - Complexity: O(*n* log *n*) for *n* ready files and leases of the user; plus O(bytes) to
  ///   extend a file, at the speed of the kernel's zeroing.
  public func lease(
    _ request: LeaseRequest, cancellation: CancellationToken = CancellationToken()
  ) throws(HoldfastError) -> Lease {
    try lease(request, for: Leaseholder(user: geteuid()), cancellation)
  }

  /// Leases memory for another user, whose file it then is. Needs root.
  ///
  /// - Parameters:
  ///   - user: the ID of the user.
  ///   - limits: what the user may have leased.
  /// - Throws: as ``lease(_:cancellation:)``; `resourceShortage` also where a limit is reached.
  package func lease(
    _ request: LeaseRequest, forUser user: UInt32, limits: LeaseLimits,
    cancellation: CancellationToken = CancellationToken()
  ) throws(HoldfastError) -> Lease {
    try lease(
      request, for: Leaseholder(user: user, limits: isMember(user) ? limits : nil), cancellation)
  }

  private func lease(
    _ request: LeaseRequest, for holder: Leaseholder, _ cancellation: CancellationToken
  ) throws(HoldfastError) -> Lease {
    let lease = try reportingFailure(of: .lease) { () throws(HoldfastError) in
      try search(request, holder, cancellation)
    }
    let receipt = lease.receipt
    report(
      ReservoirEvent(
        .lease, size: receipt.size, duration: .bounded(seconds: receipt.seconds),
        waited: .bounded(seconds: receipt.waitedSeconds)))
    return lease
  }

  private func search(
    _ request: LeaseRequest, _ holder: Leaseholder, _ cancellation: CancellationToken
  ) throws(HoldfastError) -> Lease {
    let operation = "lease \(request.size)"
    try checkSize(request.size, operation)
    let name = request.name ?? LeaseName(unique: request.isHeld ? "run" : "lease")
    let folder = try makeLeaseFolder(of: holder.user, operation)
    // Without a wait, even where no memory is ready.
    let isTaken = try during(operation, "cannot read the user's folder of leases") {
      () throws(Errno) in
      try !leases(name, in: folder).isEmpty
    }
    if isTaken { throw nameTakenError(name, operation) }

    let beginning = Instant.now
    var search = LeaseSearch(
      request: request, name: name, holder: holder, folder: folder, operation: operation,
      cancellation: cancellation)
    var contended = 0
    while true {
      let start = Instant.now
      search.isContended = false
      search.isOpenElsewhere = false
      search.notes = []
      if let (found, file) = try attempt(&search) {
        var receipt = found
        receipt.waitedSeconds = (start - beginning).seconds
        receipt.seconds = (Instant.now - start).seconds
        return Lease(receipt, file, .reservoir(self))
      }
      // Another process is using a file that would do. It takes the file or frees it at once.
      if search.isContended, contended < 500 {
        // A proof has a timeout of its own, so fewer are tried.
        contended += search.isOpenElsewhere ? 50 : 1
        usleep(200)
        continue
      }
      guard Instant.now - beginning < request.timeout else { throw search.noReadyMemory }
      if cancellation.isCancelled {
        throw cancelledError(operation)
      }
      contended = 0
      usleep(5000)
    }
  }

  /// Tries all ready files that would do, once.
  private func attempt(
    _ search: inout LeaseSearch
  ) throws(HoldfastError) -> (LeaseReceipt, OpenFile)? {
    let request = search.request
    var tried: Set<String> = []
    if let found = try takeExact(&search, &tried) { return found }
    let names = try readyCandidates(&search)
    search.seen = names.map(\.size)
    let fitting = names.filter {
      request.isExact ? $0.size == request.size : $0.size >= request.size
    }.filter { !tried.contains($0.text) }
    let smaller = names.filter { request.grows && !request.isExact && $0.size < request.size }
    for name in fitting + smaller.reversed() {
      if let found = try take(name, &search) { return found }
    }
    return nil
  }

  func cancelledError(_ operation: String) -> HoldfastError {
    HoldfastError(.cancelled, operation: operation, reason: "the caller cancelled it")
  }

  func nameTakenError(_ name: LeaseName, _ operation: String) -> HoldfastError {
    HoldfastError(
      .alreadyExists, operation: operation, reason: "this user already has a lease '\(name)'",
      advice: .release(lease: name.text))
  }
}
