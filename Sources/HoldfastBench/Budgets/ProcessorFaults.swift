internal import CHoldfastBench
internal import Holdfast
internal import HoldfastCore
internal import HoldfastKVM
internal import HoldfastLinux
internal import SystemPackage

/// The time of a guest's first write to a page of 4 KiB, which its processor serves, against that of
/// a guest and a handler thread in C. Both guests write to one place of each page, in a loop; the
/// times contain the loop.
struct ProcessorFaults {
  var host: HostCapabilities
  var runs: Int
  /// Which threads serve the guest's faults.
  var serving = FaultServing.processors

  private static let size = ByteCount.mebibytes(8)

  /// The row of the table. What is missing on this host is its problem.
  func budget() -> Budget {
    var ratios: [Double] = []
    var problem: String?
    do throws(HoldfastError) {
      for run in 0...runs {
        let floor = try ProcessorFaults.floor()
        let own = try seconds()
        if run > 0 { ratios.append(own / floor) }
      }
    } catch {
      problem = error.reason
    }
    return Budget(
      "fault of a processor, 4 KiB, self-served", against: "handler thread in C", .times, 0.5,
      problem == nil ? median(ratios) : nil, problem: problem)
  }

  /// The seconds for each page of the guest in C.
  static func floor() throws(HoldfastError) -> Double {
    let seconds = hf_bench_guest_faults()
    guard seconds > 0 else {
      throw HoldfastError(
        .host, operation: "measure page faults of a guest", reason: "the guest in C failed",
        errno: Int32(-seconds))
    }
    return seconds
  }

  /// The seconds for each page of Holdfast's guest.
  func seconds() throws(HoldfastError) -> Double {
    let arena = try Arena(
      size: Self.size, for: .paging, backing: .base, host: host, threads: 1)
    let guest = try GuestMemory(
      arena: arena, limit: Self.size,
      demandPaging: DemandPaging(granularity: .basePage, serving: serving), host: host)
    let segment = try guest.allocateSegment("ram", size: Self.size)
    let range = try guest.map(segment, at: .zero).range
    let runner = try GuestRunner(memory: guest)
    guard guest.faultServing == serving else {
      throw HoldfastError(
        .unsupported, operation: "measure page faults of a guest",
        reason: "this host's KVM does not report the faults of its guests")
    }
    let result = try runner.run(GuestTask(.fill, over: [range]), timeLimit: .seconds(60))
    return result.duration.seconds / Double(result.touches)
  }
}
