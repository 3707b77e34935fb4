internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Makes memory ready until the plan is reached. The call first unlinks what dead fills left
  /// behind, then populates file after file. Fills of a reservoir wait for each other.
  ///
  /// Files that are ready when the fill fails or is cancelled stay ready; the unfinished one is
  /// unlinked. Needs the reservoir's owner or root.
  ///
  /// - Parameters:
  ///   - cancellation: ends the fill, also while it waits for another one.
  ///   - progress: called with the progress, from any thread.
  /// - Returns: the files made and found.
  /// - Throws: ``HoldfastError`` with the code `resourceShortage` where the host has too little
  ///   memory, before any is populated; `cancelled`; `invalidArgument` where a size is not a
  ///   multiple of the page size; `notPermitted`, `untrusted` or `host`.
  /// - Complexity: O(missing bytes), at the speed of the kernel's zeroing.
  public func fill(
    _ plan: FillPlan, options: FillOptions = FillOptions(),
    cancellation: CancellationToken = CancellationToken(),
    progress: @escaping @Sendable (FillProgress) -> Void = { _ in }
  ) throws(HoldfastError) -> FillReport {
    try reportingFailure(of: .fill) { () throws(HoldfastError) in
      try reach(plan, options, cancellation, progress)
    }
  }

  private func reach(
    _ plan: FillPlan, _ options: FillOptions, _ cancellation: CancellationToken,
    _ progress: @escaping @Sendable (FillProgress) -> Void
  ) throws(HoldfastError) -> FillReport {
    let operation = "fill the reservoir"
    let start = Instant.now
    try check(plan, operation)
    let filling = try openFilling(operation)
    try waitForOtherFills(filling, operation, cancellation, progress)
    var report = FillReport()
    if options.removesLeftovers {
      report.removed = try removeLeftovers(filling, operation).removed
    }

    let (missing, found) = try self.missing(plan, operation)
    report.found = found
    let total = try sum(missing, operation)
    let host = HostProbe().host()
    let nodes = plan.node.map { HostNodes.bind($0) }
    try nodes?.check(host)
    for part in missing { try checkFileSize(part.size, operation) }
    try checkRoom(total, plan.node, operation, raisesPool: options.reservesHugePages)

    let work = FillWork(
      filling: filling, nodes: nodes, host: host, threads: options.threads ?? host.parallelism,
      operation: operation, cancellation: cancellation)
    var done = ByteCount.zero
    for part in missing {
      var made = 0
      defer { if made > 0 { report.add(FillPlan.Part(count: made, size: part.size)) } }
      while made < part.count {
        let before = done
        var reservation: HugePagePoolIncrease?
        if options.reservesHugePages { reservation = try reserve(part.size, plan.node, operation) }
        do throws(HoldfastError) {
          try makeReady(part.size, work) {
            progress(FillProgress(done: before + $0, total: total))
          }
        } catch {
          // The first error is the one to report; a pool that stays raised shows in nr_hugepages.
          try? reservation?.giveBack()
          throw error
        }
        report.reserved = PageCount(
          report.reserved.rawValue + (reservation?.count.rawValue ?? 0))
        made += 1
        done += part.size
      }
    }
    report.seconds = (Instant.now - start).seconds
    return report
  }

  /// Waits for other fills: a level is reached by counting ready files, and two fills that count at
  /// the same time would both fill.
  private func waitForOtherFills(
    _ filling: Folder, _ operation: String, _ cancellation: CancellationToken,
    _ progress: @Sendable (FillProgress) -> Void
  ) throws(HoldfastError) {
    while true {
      let isLocked = try during(operation, "cannot lock \(path)/filling") {
        () throws(Errno) in try filling.tryLock()
      }
      if isLocked { return }
      progress(FillProgress(done: .zero, total: .zero))
      if cancellation.isCancelled { throw cancelled(operation) }
      usleep(10_000)
    }
  }

  private func cancelled(_ operation: String) -> HoldfastError {
    HoldfastError(
      .cancelled, operation: operation,
      reason: "the caller cancelled it; files that are ready stay ready")
  }

  /// The values that all files of a fill share.
  struct FillWork {
    let filling: Folder
    let nodes: HostNodes?
    let host: HostCapabilities
    let threads: Int
    let operation: String
    let cancellation: CancellationToken
  }

  /// Creates one file, populates it and renames it to ready.
  func makeReady(
    _ size: ByteCount, _ work: FillWork, progress: @escaping @Sendable (ByteCount) -> Void
  ) throws(HoldfastError) {
    let start = Instant.now
    let (file, id) = try makeFile(work.filling, work.operation)
    var misplaced: String?
    do throws(Errno) {
      try setOwnerAndPermissions(file)
      try file.setSize(size)
      let memory = try MappedFile(
        file, 0..<size.rawValue, pageSize: pageSize, threads: work.threads)
      let placement = work.nodes.map { memory.place(on: $0, work.host) }
      let unpinned = try memory.populate(placement) { done in
        progress(done)
        return !work.cancellation.isCancelled
      }
      misplaced = placement.flatMap { whyMisplaced(memory, $0, work, unpinned) }
      guard misplaced == nil else { throw .invalidArgument }
      // A file is never smaller than its name states, even if the kernel reported success.
      guard try file.status().allocated >= size else { throw .noMemory }
      let name = ReadyName(size: size, node: work.nodes?.nodes.first)
      try work.filling.rename(id, to: ready, name.text)
      report(ReservoirEvent(.fill, size: size, duration: Instant.now - start))
    } catch {
      try? work.filling.unlink(id)
      // The pages return to the kernel now, rather than when the file is closed.
      try? file.setSize(.zero)
      if error == .canceled { throw cancelled(work.operation) }
      if let misplaced {
        throw HoldfastError(
          .host, operation: work.operation, reason: misplaced,
          advice: .other("allow mbind(2), by CAP_SYS_NICE in a container, or memory of any node"))
      }
      throw refusal(
        error, of: size, work.nodes?.nodes.first, work.operation,
        "a file of \(size) cannot be populated", outcome: "files that are ready stay ready")
    }
  }

  /// Why memory that the host refused to bind may not be named as the node's, or nil if it lies
  /// there.
  private func whyMisplaced(
    _ memory: MappedFile, _ placement: NodePlacement, _ work: FillWork, _ unpinned: Errno?
  ) -> String? {
    guard let problem = placement.problem, let node = work.nodes?.nodes.first else { return nil }
    let lies = memory.lies(on: node, work.host)
    if lies == true { return nil }
    return
      (lies == nil
      ? "the kernel does not report whether the memory is on the node"
      : "the memory came from another node")
      + ", and \(problem)"
      + (unpinned.map { "; threads cannot be pinned to its processors (\($0))" } ?? "")
  }

  /// Creates a file in filling and takes its lock.
  private func makeFile(
    _ filling: Folder, _ operation: String
  ) throws(HoldfastError) -> (OpenFile, String) {
    try during(operation, "cannot create a file in \(path)/filling") { () throws(Errno) in
      while true {
        let id = RandomID.text()
        let file = try filling.makeFile(id)
        try file.lock(waiting: true)
        // A collection may have had the lock first, and unlinked the file.
        if try file.status().links == 1 { return (file, id) }
      }
    }
  }

  /// Gives a file the owner and the permissions of ready files.
  func setOwnerAndPermissions(_ file: OpenFile) throws(Errno) {
    let status = try file.status()
    if status.owner != owner { try file.setOwner(owner, group: status.group) }
    if status.permissions != 0o600 { try file.setPermissions(0o600) }
  }

  private func check(_ plan: FillPlan, _ operation: String) throws(HoldfastError) {
    for part in plan.parts {
      guard part.count > 0, part.size > .zero else {
        throw HoldfastError(
          .invalidArgument, operation: operation,
          reason: "a part of the plan has a count or a size of zero",
          advice: .other("a count and a size, such as 4x10G"))
      }
      try checkSize(part.size, operation)
    }
  }

  /// Refuses a size that is not a multiple of the page size.
  func checkSize(_ size: ByteCount, _ operation: String) throws(HoldfastError) {
    guard size.rawValue <= UInt64(Int64.max) else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "\(size) exceeds the largest size of a file",
        advice: .requestLess(than: ByteCount(UInt64(Int64.max))))
    }
    if size > .zero, size.isMultiple(of: pageSize) { return }
    throw HoldfastError(
      .invalidArgument, operation: operation,
      reason: "\(size) is not a multiple of the reservoir's page size, \(pageSize)",
      advice: size.roundedUp(to: pageSize).map { .requestAtLeast(max($0, pageSize)) })
  }

  /// The files to create, and the number of ready files that count.
  private func missing(
    _ plan: FillPlan, _ operation: String
  ) throws(HoldfastError) -> (missing: [FillPlan.Part], found: Int) {
    if plan.isAddition { return (plan.parts, 0) }
    var there: [ByteCount: Int] = [:]
    for name in try readyNames(operation) where plan.node == nil || name.node == plan.node {
      there[name.size, default: 0] += 1
    }
    var missing: [FillPlan.Part] = []
    var found = 0
    for part in plan.parts {
      let counted = min(part.count, there[part.size] ?? 0)
      there[part.size, default: 0] -= counted
      found += counted
      if counted < part.count {
        missing.append(FillPlan.Part(count: part.count - counted, size: part.size))
      }
    }
    return (missing, found)
  }

  private func sum(
    _ parts: [FillPlan.Part], _ operation: String
  ) throws(HoldfastError) -> ByteCount {
    var sum: UInt64 = 0
    for part in parts {
      let (bytes, overflow) = part.size.rawValue.multipliedReportingOverflow(
        by: UInt64(part.count))
      let (next, carry) = sum.addingReportingOverflow(bytes)
      guard !overflow, !carry else {
        throw HoldfastError(
          .invalidArgument, operation: operation,
          reason: "the sizes of the plan add up to more than 2^64 bytes")
      }
      sum = next
    }
    return ByteCount(sum)
  }
}
