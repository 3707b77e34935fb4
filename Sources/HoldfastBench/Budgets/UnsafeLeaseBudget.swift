internal import CHoldfastBench
internal import Glibc
internal import Holdfast
internal import HoldfastCore
internal import HoldfastReservoir

/// What a lease costs the owner of a reservoir: from the request to an open file of ready memory.
struct LeaseBudget {
  /// The number of counted runs.
  let runs: Int

  private static let size = ByteCount.mebibytes(2)
  private static let name = "lease by the owner"

  /// The row, measured in a folder in memory that is gone afterwards. Where that is impossible, it
  /// says why.
  func row() -> Budget {
    var template = Array("/dev/shm/holdfast-bench-XXXXXX".utf8CString)
    // SAFETY: mkdtemp(3) writes within the text, which ends with a zero byte.
    guard unsafe template.withUnsafeMutableBufferPointer({ unsafe mkdtemp($0.baseAddress!) }) != nil
    else {
      return Budget(
        LeaseBudget.name, .seconds, 0.0002, nil, problem: "no folder can be made in /dev/shm")
    }
    let folder = unsafe template.withUnsafeBufferPointer { unsafe String(cString: $0.baseAddress!) }
    defer { unsafe hf_bench_remove(folder) }
    do throws(HoldfastError) {
      return Budget(LeaseBudget.name, .seconds, 0.0002, try seconds(in: folder))
    } catch {
      return Budget(LeaseBudget.name, .seconds, 0.0002, nil, problem: error.reason)
    }
  }

  private func seconds(in folder: String) throws(HoldfastError) -> Double? {
    let reservoir = try Reservoir.create(mount: folder)
    _ = try reservoir.fill(FillPlan([.init(count: runs + 1, size: LeaseBudget.size)]))
    var seconds: [Double] = []
    let clock = ContinuousClock()
    for run in 0...runs {
      let start = clock.now
      _ = try reservoir.lease(LeaseRequest(size: LeaseBudget.size))
      if run > 0 { seconds.append((clock.now - start).seconds) }
    }
    return HoldfastBench.median(seconds)
  }
}
