internal import HoldfastCore
internal import Synchronization
internal import SystemPackage

extension Arena {
  /// Memory whose pages are all resident, and its mapping.
  struct Prepared {
    let file: MemoryFile?
    let range: HostRange
    let parts: [ArenaPart]
    let preparation: Preparation
  }

  /// Creates the file, maps it, populates it and locks it. Everything is undone if it throws.
  static func prepare(
    _ choice: BackingChoice, maximum: ByteCount, _ parts: [ArenaPart], _ host: HostCapabilities,
    threads: Int,
    _ progress: (@Sendable (ByteCount) -> Void)?
  ) throws(HoldfastError) -> Prepared {
    let operation = "prepare an arena of \(choice.size) (\(choice.backing.rawValue))"
    let length = try choice.length(maximum, operation)
    let file = try makeFile(choice, operation, host)
    do throws(Errno) {
      return try make(choice, length, consume file, parts, host, threads: threads, progress)
    } catch {
      // `make` has freed its memory, which the explanation thus does not count.
      throw choice.shortage(operation, error, host)
    }
  }

  private static func make(
    _ choice: BackingChoice, _ length: ByteCount, _ file: consuming MemoryFile?,
    _ parts: [ArenaPart], _ host: HostCapabilities, threads: Int,
    _ progress: (@Sendable (ByteCount) -> Void)?
  ) throws(Errno) -> Prepared {
    let file = file
    try file?.setSize(length)
    let range = try HostRange.reserve(length, alignment: .gibibytes(1))
    var preparation = Preparation()
    var parts = parts
    do throws(Errno) {
      let unpinned = try mapAndPopulate(
        0..<choice.size.rawValue, range, file, choice.backing, threads: threads, progress
      ) {
        bind(range, &parts, &preparation, isNuma: !host.nodes.isEmpty)
        return parts
      }
      if let unpinned {
        preparation.fallbacks.append("threads could not be pinned to their nodes: \(unpinned)")
      }
    } catch {
      range.unmap()
      throw error
    }
    do throws(Errno) {
      // The kernel never reclaims hugetlb pages.
      if choice.backing.hugePageSize == nil { try range.lock(0..<choice.size.rawValue) }
      preparation.lockedBytes = choice.size
    } catch {
      preparation.lockProblem = lockProblem(error, host)
    }
    return Prepared(file: file, range: range, parts: parts, preparation: preparation)
  }

  private static func makeFile(
    _ choice: BackingChoice, _ operation: String, _ host: HostCapabilities
  ) throws(HoldfastError) -> MemoryFile? {
    guard choice.backing.hasFile else { return nil }
    do throws(Errno) {
      return try MemoryFile("holdfast-arena", hugePageSize: choice.backing.hugePageSize)
    } catch {
      if let refusal = error.refusal(of: "memfd_create(2)", operation, without: .thpPrivate) {
        throw refusal
      }
      throw choice.shortage(operation, error, host)
    }
  }

  /// Maps a part of the memory in the direct map and populates it.
  ///
  /// - Parameter bound: called once the part is mapped; binds it to nodes and returns its pieces.
  /// - Returns: why threads could not be pinned to their nodes' processors, or nil.
  static func mapAndPopulate(
    _ bytes: Range<UInt64>, _ range: HostRange, _ file: MemoryFile?, _ backing: Backing,
    threads: Int, _ progress: (@Sendable (ByteCount) -> Void)?, bound: () -> [ArenaPart]
  ) throws(Errno) -> Errno? {
    if let file {
      // mmap(2) of a hugetlb file reserves its pages, all or none, before any is accessed.
      try range.map(
        bytes, .readWrite, file: file.descriptor, offset: bytes.lowerBound,
        advice: backing == .base ? .basePages : .noDump)
    } else {
      try range.protect(bytes, .readWrite)
      try range.keepPrivate(bytes)
    }
    if backing.isTransparentHuge { try range.adviseHuge(bytes, true) }
    let unpinned = try populate(range, backing, bound(), threads: threads, progress)
    // khugepaged would later collapse what is not in huge pages now, by taking it out of the page
    // tables of guests that have it wired.
    if backing.isTransparentHuge { try range.adviseHuge(bytes, false) }
    return unpinned
  }

  /// Binds each part to its node, before it is populated. If the host refuses, as in containers,
  /// the parts are not bound; threads that run on the nodes still populate most of it there.
  private static func bind(
    _ range: HostRange, _ parts: inout [ArenaPart], _ preparation: inout Preparation, isNuma: Bool
  ) {
    for index in parts.indices {
      guard let node = parts[index].node, let policy = parts[index].policy else { continue }
      do throws(Errno) {
        try range.bind(parts[index].bytes, to: [node], policy)
      } catch {
        preparation.fallbacks.append(
          "not bound to node \(node): " + HostNodes.refusalText(error, isNuma: isNuma))
        parts[index].policy = .preferred
      }
    }
  }

  /// Populates every page, in pieces over the processors of the nodes; the kernel zeroes them.
  ///
  /// - Returns: why threads could not be pinned to their nodes' processors, or nil.
  private static func populate(
    _ range: HostRange, _ backing: Backing, _ parts: [ArenaPart], threads: Int,
    _ progress: (@Sendable (ByteCount) -> Void)?
  ) throws(Errno) -> Errno? {
    // Two threads must not wait for the zeroing of the same huge page.
    let piece = max(1 << 28, backing.geometry.pageSize.rawValue)
    let failure = Atomic<Int32>(0)
    let done = Atomic<UInt64>(0)
    let groups = parts.map { part in
      Workers.Group(
        count: Int((UInt64(part.bytes.count) + piece - 1) / piece), processors: part.processors)
    }
    let unpinned = Workers.perform(groups, threads: threads) { part, number in
      let start = parts[part].bytes.lowerBound + UInt64(number) * piece
      let end = min(start + piece, parts[part].bytes.upperBound)
      do throws(Errno) {
        try range.populate(start..<end, .readWrite)
      } catch {
        failure.store(error.rawValue, ordering: .relaxed)
        return false
      }
      let total = done.wrappingAdd(end - start, ordering: .relaxed).newValue
      progress?(ByteCount(total))
      return true
    }
    let problem = failure.load(ordering: .relaxed)
    if problem != 0 { throw Errno(rawValue: problem) }
    return unpinned
  }

  /// Why memory is not locked, in words.
  static func lockProblem(_ error: Errno, _ host: HostCapabilities) -> String {
    let limit = host.privileges.memoryLockLimit.map { "RLIMIT_MEMLOCK is \($0)" }
    let reason = limit ?? "RLIMIT_MEMLOCK is too low"
    if host.privileges.ignoresMemoryLockLimit, error.isRefusal {
      return "mlock(2) failed (\(error)): a seccomp filter, as containers have, forbids it"
    }
    return host.privileges.ignoresMemoryLockLimit
      ? "mlock(2) failed: \(error)"
      : "mlock(2) failed (\(error)): \(reason) and CAP_IPC_LOCK is missing"
  }
}
