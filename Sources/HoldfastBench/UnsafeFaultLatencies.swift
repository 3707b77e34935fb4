internal import CHoldfastBench
internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// The time of an access to an absent page of 2 MiB of guest memory, with Holdfast's handler threads
/// and with a handler in C, in turns. Both map frames that are resident and zero, of the same kind
/// of memory.
public struct FaultLatencies: Sendable {
  /// What serves the faults.
  public enum Server: String, Hashable, Sendable, CaseIterable {
    /// A thread in C that maps the next page of a file (poll, read, mmap, MADV_POPULATE_WRITE,
    /// UFFDIO_WAKE).
    case handlerInC = "handler in C"
    /// Holdfast's handler threads.
    case handlerThreads = "handler threads"
  }

  /// The seconds of each access, in the order of the accesses, of each counted run.
  public internal(set) var seconds: [Server: [[Double]]] = [:]
  /// Why there are none, or nil.
  public internal(set) var problem: String?

  private static let size = ByteCount.mebibytes(128)
  private static let page = ByteCount.mebibytes(2)
  private static let operation = "measure page faults"

  /// Measures both in each run, after a run that does not count.
  ///
  /// - Parameter backing: that of the memory; nil for the best that the host has 256 MiB of.
  init(host: HostCapabilities, backing: Backing? = nil, runs: Int) {
    let backings = backing.map { [$0] } ?? [.hugetlb2M, .thp, .base]
    for backing in backings {
      do throws(HoldfastError) {
        seconds = try Self.measure(backing, host, runs)
        problem = nil
        return
      } catch {
        problem = error.reason
      }
    }
  }

  /// How much longer Holdfast's median access takes than the one with a handler in C.
  var ratio: PairedRatio? {
    func medians(_ server: Server) -> [Double] {
      (seconds[server] ?? []).compactMap(HoldfastBench.median)
    }
    return PairedRatio(
      baseline: medians(.handlerInC), candidate: medians(.handlerThreads))
  }

  /// The row of the table of budgets.
  var budget: Budget {
    Budget(
      "demand fault, 2 MiB", against: Server.handlerInC.rawValue, .times, 1.25, ratio?.median,
      problem: problem)
  }

  private static func measure(
    _ backing: Backing, _ host: HostCapabilities, _ runs: Int
  ) throws(HoldfastError) -> [Server: [[Double]]] {
    let file = hf_bench_resident_file(Int(size.rawValue), backing == .hugetlb2M ? 1 : 0)
    guard file >= 0 else {
      throw HoldfastError(
        .resourceShortage, operation: operation, reason: "a file of \(size) cannot be filled",
        errno: -file)
    }
    defer { try? FileDescriptor(rawValue: file).close() }
    let arena = try Arena(size: size, for: .paging, backing: backing, host: host, threads: 1)
    var all: [Server: [[Double]]] = [:]
    for run in 0...runs {
      for server in Server.allCases {
        let seconds =
          server == .handlerInC ? try inC(file) : try byThreads(on: arena, host)
        if run > 0 { all[server, default: []].append(seconds) }
      }
    }
    return all
  }

  private static var pages: Int { Int(size.rawValue / page.rawValue) }

  private static func inC(_ file: Int32) throws(HoldfastError) -> [Double] {
    var seconds = [Double](repeating: 0, count: pages)
    // SAFETY: the function stores one number for each page.
    let status = unsafe seconds.withUnsafeMutableBufferPointer {
      unsafe hf_bench_handler_faults(file, Int(size.rawValue), Int(page.rawValue), $0.baseAddress)
    }
    guard status == 0 else {
      throw HoldfastError(
        .host, operation: operation, reason: "the handler in C failed", errno: -status)
    }
    return seconds
  }

  private static func byThreads(
    on arena: Arena, _ host: HostCapabilities
  ) throws(HoldfastError) -> [Double] {
    // As the file of the handler in C, whose pages are zeroed before it starts.
    arena.memory.zeroFreeFrames()
    let guest = try GuestMemory(
      arena: arena, limit: size, demandPaging: DemandPaging(), host: host)
    let segment = try guest.allocateSegment("ram", size: size)
    try guest.map(segment, at: .zero)
    var seconds = [Double](repeating: 0, count: pages)
    // SAFETY: the function stores one number for each page, and writes to the guest's memory, which
    // is mapped as long as the guest lives.
    unsafe seconds.withUnsafeMutableBufferPointer {
      unsafe hf_bench_touch_each(
        guest.hostAddress, Int(size.rawValue), Int(page.rawValue), $0.baseAddress)
    }
    withExtendedLifetime(guest) {}
    return seconds
  }
}
