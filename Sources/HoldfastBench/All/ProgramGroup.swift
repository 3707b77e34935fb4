internal import HoldfastCore
internal import SystemPackage

/// The start of the program beside that of another one, and a lease from request to open file.
final class ProgramGroup: BenchmarkGroup {
  let name = "program"
  var ways: [MeasuredWay]
  /// The bytes that `holdfast --version` had resident at most, or nil.
  private(set) var peak: ByteCount?
  private let program: String?

  private static let leases = 2

  /// - Parameter program: the path of `holdfast`, or nil if it is another program that measures.
  init(program: String?) {
    self.program = program
    ways = [
      MeasuredWay(.program, "lease", "a lease by the owner", .holdfast),
      MeasuredWay(.program, "lease-socket", "a lease by the socket", .holdfast),
      MeasuredWay(.program, "start", "holdfast --version", .holdfast, floor: "true"),
      MeasuredWay(.program, "true", "/bin/true", .program),
    ]
  }

  func measure(
    run: Int, condition: Int, step: (String) throws(HoldfastError) -> Void
  ) throws(HoldfastError) {
    try step("leases")
    do throws(HoldfastError) {
      let seconds = try LeaseBudget(runs: 1).seconds()
      for (index, way) in LeaseBudget.Way.allCases.enumerated() where run > 0 {
        guard let time = seconds[way]?.last, ways[index].problem == nil else { continue }
        ways[index].seconds.append(time)
        ways[index].conditions.append(condition)
      }
    } catch {
      for index in 0..<Self.leases { ways[index].fail(error.description) }
    }
    let words = [program.map { [$0, "--version"] }, ["/bin/true"]]
    for (number, words) in words.enumerated() {
      let index = Self.leases + number
      guard ways[index].problem == nil else { continue }
      try step(ways[index].name)
      guard let words else {
        ways[index].fail("another program measures")
        continue
      }
      do throws(Errno) {
        let start = Instant.now
        let ended = try EndedProgram.run(words, input: "", keeping: nil)
        let time = (Instant.now - start).seconds
        guard ended.status == 0 else {
          ways[index].fail("\(words[0]) ended with status \(ended.status)")
          continue
        }
        guard run > 0 else { continue }
        if number == 0 { peak = ByteCount(UInt64(try EndedProgram.peak(words))) }
        ways[index].seconds.append(time)
        ways[index].conditions.append(condition)
      } catch {
        ways[index].fail("\(words[0]) cannot be started: \(error)")
      }
    }
  }
}
