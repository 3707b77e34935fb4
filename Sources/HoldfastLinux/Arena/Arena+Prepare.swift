internal import HoldfastCore
internal import Synchronization
internal import SystemPackage

extension Arena {
  /// A file of which every page is in memory, and where it is mapped.
  struct Prepared {
    let file: MemoryFile
    let range: HostRange
    let preparation: Preparation
  }

  /// Makes the file, maps it and brings it in. Nothing is left behind when it throws.
  static func prepare(
    _ choice: BackingChoice, _ host: Host, threads: Int,
    _ progress: (@Sendable (ByteCount) -> Void)?
  ) throws(HostError) -> Prepared {
    let operation = "prepare an arena of \(choice.size) (\(choice.backing.rawValue))"
    let file: MemoryFile
    let range: HostRange
    do {
      file = try MemoryFile("holdfast-arena", hugePageSize: choice.backing.hugePageSize)
      try file.setSize(choice.size)
      range = try HostRange.reserve(choice.size, alignment: .gibibytes(1))
    } catch {
      throw choice.shortage(operation, error, host)
    }
    var preparation = Preparation()
    do throws(Errno) {
      // A hugetlb file sets its pages aside here, all or none, before any is touched.
      try range.map(
        0..<choice.size.rawValue, .readWrite, file: file.descriptor, offset: 0,
        basePages: choice.backing == .base)
      if choice.backing == .thp { try range.adviseHuge(true) }
      try populate(range, choice, threads: threads, progress)
      // What could not be had as huge pages now khugepaged would put together later, by taking it
      // out of the page tables of guests that have it wired.
      if choice.backing == .thp { try range.adviseHuge(false) }
    } catch {
      range.release()
      throw choice.shortage(operation, error, host)
    }
    do throws(Errno) {
      // The kernel never reclaims hugetlb pages.
      if choice.backing.hugePageSize == nil { try range.lock() }
      preparation.lockedBytes = choice.size
    } catch {
      preparation.lockProblem = lockProblem(error, host)
    }
    return Prepared(file: file, range: range, preparation: preparation)
  }

  /// Brings every page in, in pieces over the processors; the kernel zeroes them.
  private static func populate(
    _ range: HostRange, _ choice: BackingChoice, threads: Int,
    _ progress: (@Sendable (ByteCount) -> Void)?
  ) throws(Errno) {
    let size = choice.size.rawValue
    // No two threads are to wait for the zeroing of one huge page.
    let piece = max(1 << 28, choice.backing.geometry.pageSize.rawValue)
    let failure = Atomic<Int32>(0)
    let done = Atomic<UInt64>(0)
    Workers.perform(Int((size + piece - 1) / piece), threads: threads) { number in
      let start = UInt64(number) * piece
      let end = min(start + piece, size)
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
  }

  private static func lockProblem(_ error: Errno, _ host: Host) -> String {
    let limit = host.privileges.memoryLockLimit.map { "RLIMIT_MEMLOCK is \($0)" }
    let reason = limit ?? "RLIMIT_MEMLOCK is too low"
    return host.privileges.ignoresMemoryLockLimit
      ? "mlock(2) failed: \(error)"
      : "mlock(2) failed (\(error)): \(reason) and CAP_IPC_LOCK is missing"
  }
}
