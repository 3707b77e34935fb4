public import HoldfastCore
internal import SystemPackage

/// Arenas of files that are populated already.
extension Arena {
  /// Adopts a file that is populated and zeroed: its memory becomes the arena's as it is. Absent
  /// pages are populated. For 10 GiB of huge pages it takes about a millisecond. (The way to zero
  /// memory is not measured, because that takes longer. Unless it was measured before, memory that
  /// guests leave behind is zeroed in a way that is good on most processors.)
  ///
  /// The caller guarantees two things that cannot be checked:
  /// - The file is zero. (With HOLDFAST_CHECK_ZEROED in the environment it is read, which is slow;
  ///   a byte that is not zero is an error.)
  /// - No other process writes to the file, truncates it or punches holes in it as long as the
  ///   arena lives. That could show guests each other's bytes, or end this process with SIGBUS,
  ///   because files on hugetlbfs and tmpfs cannot be sealed. So no other process should have the
  ///   file open, or be able to open it.
  ///
  /// - Parameters:
  ///   - descriptor: a file open for reading and writing, on hugetlbfs with pages of 2 MiB or 1 GiB
  ///     or on tmpfs. The arena duplicates it, so a flock(2) of it lasts as long as the arena.
  ///   - node: the node that the whole file is on, if that is known.
  ///   - host: what the host offers, as just probed.
  ///   - threads: the number of threads that zero memory later; nil for one for each processor.
  /// - Throws: `HoldfastError` with code `host` if the file is of another kind, empty, not a whole
  ///   number of pages or not open for reading and writing, and `resourceShortage` if the host
  ///   lacks the addresses, or the memory for absent pages. Except for these, the file is
  ///   unchanged then.
  /// - Complexity: O(pages), to find the absent ones.
  public convenience init(
    adoptingZeroed descriptor: Int32, node: NodeID? = nil,
    host: HostCapabilities = HostProbe().host(),
    threads: Int? = nil
  ) throws(HoldfastError) {
    let file: OpenFile
    do throws(Errno) {
      file = try OpenFile(duplicating: descriptor)
    } catch {
      throw HoldfastError(
        .host, operation: "adopt a file as an arena", reason: "the descriptor is not open",
        errno: error.rawValue,
        advice: .other("the descriptor of a file that is open for reading and writing"))
    }
    try self.init(adoptingZeroed: file, node: node, host: host, threads: threads, afterwards: nil)
  }

  /// The same with an open file that may have other references.
  ///
  /// - Parameter afterwards: called when the arena, all windows on it and this reference to the
  ///   file are gone, by the thread that drops the last of them. Not called if the initializer
  ///   throws.
  package convenience init(
    adoptingZeroed file: OpenFile, node: NodeID?, host: HostCapabilities, threads: Int?,
    afterwards: (@Sendable () -> Void)?
  ) throws(HoldfastError) {
    let start = Instant.now
    let threads = threads ?? host.parallelism
    let (backing, size) = try Arena.checked(file)
    let operation = "adopt \(size) of memory (\(backing.rawValue))"
    if Arena.checksZeroed { try Arena.audit(file, size, backing, threads: threads, operation) }
    let memory = MemoryFile(file)
    let range: HostRange
    do throws(Errno) {
      range = try HostRange.reserve(size, alignment: .gibibytes(1))
    } catch {
      throw HoldfastError(
        error == .noMemory ? .resourceShortage : .host, operation: operation,
        reason: "the addresses cannot be reserved",
        errno: error.rawValue, advice: .raiseLimit("RLIMIT_AS (ulimit -v unlimited)"))
    }
    let only = host.nodes.count == 1 ? host.nodes[0].id : nil
    let part = ArenaPart(
      bytes: 0..<size.rawValue, node: node ?? only, policy: nil, processors: [])
    var preparation = Preparation()
    do throws(Errno) {
      _ = try Arena.mapAndPopulate(
        0..<size.rawValue, range, memory, backing, threads: threads, nil
      ) { [part] }
    } catch {
      range.unmap()
      let isForbidden = error == .permissionDenied
      throw HoldfastError(
        error == .noMemory ? .resourceShortage : .host, operation: operation,
        reason: isForbidden
          ? "the file is not open for reading and writing"
          : "its absent pages cannot be populated",
        errno: error.rawValue,
        advice: isForbidden
          ? nil : .other("a file without absent pages, or a higher limit of the hugetlb cgroup"))
    }
    do throws(Errno) {
      if backing.hugePageSize == nil { try range.lock(0..<size.rawValue) }
      preparation.lockedBytes = size
    } catch {
      preparation.lockProblem = Arena.lockProblem(error, host)
    }
    if let afterwards { memory.whenClosed(afterwards) }
    self.init(
      Prepared(file: memory, range: range, parts: [part], preparation: preparation),
      backing: backing, size: size, host: host, threads: threads, fallbacks: [],
      choosesZeroing: false, since: start)
  }

  /// The backing and the size of an arena of the file.
  private static func checked(_ file: OpenFile) throws(HoldfastError) -> (Backing, ByteCount) {
    let operation = "adopt a file as an arena"
    let status: FileStatus
    let system: FileSystemStatus
    do throws(Errno) {
      status = try file.status()
      system = try file.fileSystem()
    } catch {
      throw HoldfastError(
        .host, operation: operation, reason: "the file cannot be examined (fstat(2))",
        errno: error.rawValue)
    }
    guard status.isRegular else {
      throw HoldfastError(
        .host, operation: operation, reason: "it is \(status.kind), not a regular file",
        advice: .other("a file on hugetlbfs or tmpfs"))
    }
    let backing: Backing? =
      switch system.kind {
      case .hugetlbfs: [Backing.hugetlb2M, .hugetlb1G].first { $0.hugePageSize == system.pageSize }
      case .tmpfs: .base
      case .other: nil
      }
    guard let backing else {
      throw HoldfastError(
        .host, operation: operation,
        reason: system.kind == .hugetlbfs
          ? "its huge pages are of \(system.pageSize), not 2 MiB or 1 GiB"
          : "the file is neither on hugetlbfs nor on tmpfs",
        advice: .other("a file on hugetlbfs with pages of 2 MiB or 1 GiB"))
    }
    let page = backing.geometry.pageSize
    guard status.size > .zero, status.size.isMultiple(of: page) else {
      throw HoldfastError(
        .host, operation: operation,
        reason: "its size \(status.size) is not a positive multiple of the page size \(page)",
        advice: .other("a file of another size"))
    }
    return (backing, status.size)
  }

  /// Checks that the file is zero, by reading it.
  private static func audit(
    _ file: OpenFile, _ size: ByteCount, _ backing: Backing, threads: Int, _ operation: String
  ) throws(HoldfastError) {
    do throws(Errno) {
      let memory = try MappedFile(
        file, 0..<size.rawValue, pageSize: backing.geometry.pageSize, threads: threads)
      try memory.populate()
      if memory.isZero() { return }
    } catch {
      throw HoldfastError(
        .host, operation: operation, reason: "the file cannot be read", errno: error.rawValue,
        advice: .other("without HOLDFAST_CHECK_ZEROED"))
    }
    throw HoldfastError(
      .host, operation: operation, reason: "the file is not zero",
      advice: .other("a file that is zero: zero it first, or recycle its lease"))
  }
}
