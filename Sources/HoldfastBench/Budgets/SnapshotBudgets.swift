internal import CHoldfastBench
internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// The budgets of snapshots: what saving and restoring a guest costs against what the disk takes
/// for the same bytes, in the same run.
///
/// Each run saves, restores ahead and restores on demand, each beside its floor in C; which of the
/// two comes first changes from run to run. Files have a name only for a moment, so an interrupted
/// benchmark leaves none behind.
struct SnapshotBudgets {
  /// The memory; its size is that of the snapshots.
  let memory: BenchmarkMemory
  /// The number of counted runs, fewer where the disk is slow.
  let runs: Int
  /// The folder of the files.
  let folder: String

  /// No further run begins after so much time, if one was counted.
  private static let most = Duration.seconds(30)
  /// The unit of faults: a large page.
  private static let page = ByteCount.mebibytes(2)
  /// The requests that the disk has at once.
  private static let threads = 4

  /// The seconds of the work and of its floor, run by run.
  private struct Pairs {
    var work: [Double] = []
    var floor: [Double] = []

    var ratio: Double? { PairedRatio(baseline: floor, candidate: work)?.median }

    /// Measures both.
    mutating func measure(
      workFirst: Bool, _ work: () throws(HoldfastError) -> Double,
      floor: () throws(HoldfastError) -> Double
    ) throws(HoldfastError) {
      if workFirst { self.work.append(try work()) }
      self.floor.append(try floor())
      if !workFirst { self.work.append(try work()) }
    }
  }

  private struct Measured {
    var save = Pairs()
    var ahead = Pairs()
    var fault = Pairs()
  }

  /// The rows. If a snapshot cannot be measured, they say why.
  func rows(progress: (BenchmarkStep) -> Void) -> [Budget] {
    var measured = Measured()
    var problem: String?
    do throws(HoldfastError) {
      try measure(&measured, progress)
    } catch {
      measured = Measured()
      problem = error.reason
    }
    return [
      Budget(
        "save a snapshot", against: "dd", .times, 1.15, measured.save.ratio, problem: problem),
      Budget(
        "restore a snapshot ahead", against: "dd", .times, 1.15, measured.ahead.ratio,
        problem: problem),
      Budget(
        "page fault of a restored guest, 2 MiB", against: "pread", .times, 1.25,
        measured.fault.ratio, problem: problem),
    ]
  }

  private func measure(
    _ measured: inout Measured, _ progress: (BenchmarkStep) -> Void
  ) throws(HoldfastError) {
    let place = try checkedFolder()
    let arena = try Arena(
      size: memory.size, for: .paging, backing: memory.backing, nodes: memory.nodes,
      host: memory.host, threads: memory.threads)
    let start = Instant.now
    // All runs restore the file of the warm-up: a disk may take far longer to read a file first.
    var image: OpenFile?
    for run in 0...runs {
      if run > 1, Instant.now - start > Self.most { break }
      progress(BenchmarkStep(run: run, name: "snapshot", number: run, count: runs + 1))
      var counted = run == 0 ? Measured() : measured
      let workFirst = run % 2 == 0
      let saved = try save(arena, place, workFirst, &counted.save)
      let file = image ?? saved
      image = file
      try restoreAhead(arena, file, workFirst, &counted.ahead)
      try restoreOnDemand(arena, file, workFirst, &counted.fault)
      if run > 0 { measured = counted }
    }
  }

  /// The folder, if it is on a disk and has room for two snapshots and some more.
  private func checkedFolder() throws(HoldfastError) -> Folder {
    let (place, system) = try during { () throws(Errno) in
      let place = try Folder.open(path: folder)
      return (place, try place.fileSystem())
    }
    let needed = ByteCount(
      memory.size.rawValue.saturatingProduct(2).saturatingSum(ByteCount.mebibytes(64).rawValue))
    let problem: String? =
      if system.kind != .other {
        "\(folder) is in memory, not on a disk"
      } else if let free = system.free, free < needed {
        "\(folder) has \(free) of free space, and \(needed) are needed"
      } else {
        nil
      }
    if let problem {
      throw HoldfastError(.host, operation: Self.operation, reason: problem)
    }
    return place
  }

  // MARK: Measurements

  /// Saves a guest whose memory has no zeros, and returns the file, which has no name any more.
  private func save(
    _ arena: Arena, _ place: Folder, _ workFirst: Bool, _ pairs: inout Pairs
  ) throws(HoldfastError) -> OpenFile {
    let guest = try wiredGuest(arena, arena.size)
    let length = Int(arena.size.rawValue)
    hf_bench_pattern(guest.hostAddress, length, UInt64.random(in: 0 ... .max))
    var saved: OpenFile?
    try pairs.measure(workFirst: workFirst) { () throws(HoldfastError) in
      let name = "holdfast-bench-" + String(UInt64.random(in: 0 ... .max), radix: 36)
      let receipt = try guest.save(guest.addresses, to: folder + "/" + name)
      saved = try during { () throws(Errno) in
        defer { try? place.unlink(name) }
        return try place.file(name, writable: false)
      }
      return receipt.duration.seconds
    } floor: { () throws(HoldfastError) in
      // Which way is faster depends on the disk.
      min(
        try write(guest, to: place, pastCache: true), try write(guest, to: place, pastCache: false))
    }
    guard let saved else {
      throw HoldfastError(.host, operation: "measure snapshots", reason: "no snapshot was opened")
    }
    return saved
  }

  /// Writes a guest's memory to a new file as dd does.
  private func write(
    _ guest: GuestMemory, to place: Folder, pastCache: Bool
  ) throws(HoldfastError) -> Double {
    try during { () throws(Errno) in
      let file = try newFile(place)
      let value = hf_bench_write(
        file.descriptor, guest.hostAddress, Int(guest.limit.rawValue), pastCache ? 1 : 0)
      withExtendedLifetime(file) {}
      return try seconds(value)
    }
  }

  private func restoreAhead(
    _ arena: Arena, _ image: OpenFile, _ workFirst: Bool, _ pairs: inout Pairs
  ) throws(HoldfastError) {
    try during { () throws(Errno) in try self.check(hf_bench_uncache(image.descriptor)) }
    let guest = try pagedGuest(arena)
    try pairs.measure(workFirst: workFirst) { () throws(HoldfastError) in
      let start = Instant.now
      _ = try guest.restoreSegment(
        "ram", from: path(image), prefetch: .prefetched(threads: Self.threads))
      return (Instant.now - start).seconds
    } floor: { () throws(HoldfastError) in
      try during { () throws(Errno) in
        try seconds(hf_bench_read(image.descriptor, Int(arena.size.rawValue)))
      }
    }
  }

  /// Faults on a quarter of a snapshot, which the page cache has: a disk would hide what they cost.
  private func restoreOnDemand(
    _ arena: Arena, _ image: OpenFile, _ workFirst: Bool, _ pairs: inout Pairs
  ) throws(HoldfastError) {
    let part = ByteCount(arena.size.rawValue / 4).roundedDown(to: Self.page)
    let (length, page) = (Int(part.rawValue), Int(Self.page.rawValue))
    let beside = try wiredGuest(arena, part)
    let guest = try pagedGuest(arena)
    let segment = try guest.restoreSegment("ram", from: path(image))
    try guest.map(segment, at: .zero)
    func floor() throws(HoldfastError) -> Double {
      try during { () throws(Errno) in
        try seconds(hf_bench_pread(image.descriptor, beside.hostAddress, length, page))
      }
    }
    _ = try floor()
    try pairs.measure(workFirst: workFirst) { () throws(HoldfastError) in
      try during { () throws(Errno) in
        try seconds(hf_bench_faults(guest.hostAddress, length, page))
      }
    } floor: { () throws(HoldfastError) in
      try floor()
    }
    withExtendedLifetime((beside, guest)) {}
  }

  // MARK: Guests and files

  private func wiredGuest(_ arena: Arena, _ size: ByteCount) throws(HoldfastError) -> GuestMemory {
    let guest = try GuestMemory(arena: arena, limit: size, host: memory.host)
    try guest.map(try guest.allocateSegment("ram", size: size), at: .zero, options: .wired)
    return guest
  }

  private func pagedGuest(_ arena: Arena) throws(HoldfastError) -> GuestMemory {
    try GuestMemory(
      arena: arena, limit: arena.size, demandPaging: DemandPaging { _ in .refuse },
      host: memory.host)
  }

  private func newFile(_ place: Folder) throws(Errno) -> OpenFile {
    if let file = try place.makeNamelessFile() { return file }
    let name = "holdfast-bench-" + String(UInt64.random(in: 0 ... .max), radix: 36)
    defer { try? place.unlink(name) }
    return try place.makeFile(name)
  }

  /// A path of an open file without a name.
  private func path(_ file: OpenFile) -> String { "/proc/self/fd/\(file.descriptor)" }

  private static let operation = "measure snapshots"

  /// The seconds that a function in C returned.
  private func seconds(_ value: Double) throws(Errno) -> Double {
    if value < 0 { throw Errno(rawValue: Int32(-value)) }
    return value
  }

  private func check(_ status: Int32) throws(Errno) {
    if status < 0 { throw Errno(rawValue: -status) }
  }

  private func during<Result>(
    _ body: () throws(Errno) -> Result
  ) throws(HoldfastError) -> Result {
    do throws(Errno) {
      return try body()
    } catch {
      throw HoldfastError(
        .host, operation: Self.operation, reason: "a file in \(folder) fails: \(error)",
        errno: error.rawValue)
    }
  }
}
