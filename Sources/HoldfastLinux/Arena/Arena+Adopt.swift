public import HoldfastCore
internal import SystemPackage

/// Arenas of files whose memory is there already.
extension Arena {
  /// Adopts a file that others have filled: its memory becomes the arena's, without any of it being brought
  /// in or zeroed again. Where some of it is missing it is brought in. For 10 GiB of huge pages it takes
  /// about a millisecond. (The way to zero is not measured for it: that takes longer. Unless it was measured
  /// before, what guests leave behind is zeroed in the way that is good on most processors.)
  ///
  /// The caller states two things that cannot be checked:
  /// - All of it is zero. (With HOLDFAST_CHECK_ZEROED in the environment it is read, which is slow; a byte
  ///   that is not zero is an error here.)
  /// - Nobody else writes to it, cuts it or punches holes in it as long as the arena lives. Whoever does can
  ///   have guests find each other's bytes and this process end by SIGBUS, for files on hugetlbfs and tmpfs
  ///   cannot be sealed. So let nobody else have it open, and nobody else be able to open it.
  ///
  /// - Parameters:
  ///   - descriptor: an open file, for reading and writing, on hugetlbfs of 2 MiB or 1 GiB pages or on tmpfs.
  ///     The arena has one of its own from here on, of the same opening: a flock(2) of it lasts as long as
  ///     the arena.
  ///   - node: the node that all of it is on, where that is known.
  ///   - threads: how many zero memory later; nil for one a processor.
  /// - Throws: `HoldfastError` for a file of another kind, an empty one, one that is no whole number of pages, or
  ///   where the host has not the memory that is missing. The file is as it was then, but for that.
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
        .host, operation: "adopt a file as an arena", reason: "it is not open",
        errno: error.rawValue,
        advice: .other("a file that is open for reading and writing"))
    }
    try self.init(adoptingZeroed: file, node: node, host: host, threads: threads, afterwards: nil)
  }

  /// The same of an open file that others may have too.
  ///
  /// - Parameter afterwards: called once the arena and all windows on it are gone, and this reference to the
  ///   open file too, by the thread that has let the last of them go. Not called where this throws.
  package convenience init(
    adoptingZeroed file: OpenFile, node: NodeID?, host: HostCapabilities, threads: Int?,
    afterwards: (@Sendable () -> Void)?
  ) throws(HoldfastError) {
    let start = ContinuousClock.now
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
        .host, operation: operation, reason: "the kernel refused the addresses",
        errno: error.rawValue,
        advice: .other("less, or raise RLIMIT_AS (ulimit -v unlimited)"))
    }
    let only = host.nodes.count == 1 ? host.nodes[0].id : nil
    let part = ArenaPart(
      bytes: 0..<size.rawValue, node: node ?? only, policy: nil, processors: [])
    var preparation = Preparation()
    do throws(Errno) {
      _ = try Arena.bringIn(
        0..<size.rawValue, range, memory, backing, threads: threads, nil
      ) { [part] }
    } catch {
      range.release()
      let isForbidden = error == .permissionDenied
      throw HoldfastError(
        .host, operation: operation,
        reason: isForbidden
          ? "it is not open for reading and writing" : "what it lacks cannot be brought in",
        errno: error.rawValue,
        advice: isForbidden ? nil : .other("a file all of whose pages are in memory"))
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

  /// What an arena of a file would be made of, and how large it would be.
  private static func checked(_ file: OpenFile) throws(HoldfastError) -> (Backing, ByteCount) {
    let operation = "adopt a file as an arena"
    let status: FileStatus
    let system: FileSystemStatus
    do throws(Errno) {
      status = try file.status()
      system = try file.fileSystem()
    } catch {
      throw HoldfastError(
        .host, operation: operation, reason: "it tells nothing of itself", errno: error.rawValue)
    }
    guard status.isRegular else {
      throw HoldfastError(
        .host, operation: operation, reason: "it is \(status.kind)",
        advice: .other("a regular file"))
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
          ? "arenas are not made of huge pages of \(system.pageSize)"
          : "it is neither on hugetlbfs nor on tmpfs",
        advice: .other("a file on hugetlbfs of 2 MiB or 1 GiB pages"))
    }
    let page = backing.geometry.pageSize
    guard status.size > .zero, status.size.isMultiple(of: page) else {
      throw HoldfastError(
        .host, operation: operation,
        reason: "its size, \(status.size), is no whole number of pages of \(page)",
        advice: .other("a file of another size"))
    }
    return (backing, status.size)
  }

  /// Reads all of a file, which has to be zero.
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
        .host, operation: operation, reason: "it cannot be read", errno: error.rawValue,
        advice: .other("without HOLDFAST_CHECK_ZEROED"))
    }
    throw HoldfastError(
      .host, operation: operation, reason: "it was said to be zero and is not",
      advice: .other("holdfast reservoir recycle, which scrubs it"))
  }
}
