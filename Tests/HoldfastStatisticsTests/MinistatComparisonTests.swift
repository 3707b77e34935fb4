import HoldfastStatistics
import Testing

/// Compares reports with the output of the program that they imitate, for the same samples.
///
/// All of it is compared byte for byte, but for the number after a ` +/- `: ministat's quantiles
/// have three decimals, so that number agrees to 0.0005 in 1.28 only.
@Suite(
  .enabled(
    if: MinistatProgram.isInstalled || MinistatProgram.isRequired,
    "\(MinistatProgram.path) is not installed (apt-get install ministat)"))
struct MinistatComparisonTests {}

extension MinistatComparisonTests {
  /// Half a unit of the third decimal, relative to the smallest quantile in use, and rounding.
  static let tableTolerance = 4e-4

  @Test(arguments: UInt64(1)...60)
  func randomSamples(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var options = MinistatReport.Options()
    options.width = [2, 10, 40, 60, 74, 74, 74, 133, 200].randomElement(using: &random)!
    options.confidence = [.percent80, .percent90, .percent95, .percent98, .percent99]
      .randomElement(using: &random)!
    options.separatesBars = Bool.random(using: &random)
    options.showsPlot = Int.random(in: 0..<8, using: &random) > 0
    options.showsComparisons = options.showsPlot || Bool.random(using: &random)
    let values = Self.samples(using: &random)
    try Self.check(values, options: options)
  }

  private static let chosen: [[[Double]]] = [
    [[5, 5, 5]], [[5, 5, 5], [5, 5, 5, 5]], [[5, 5, 5], [7, 7, 7]], [[7, 7, 7], [5, 5, 5]],
    [[0, 0, 0], [-1, 0, 1]], [[0, 0, 0], [9, 10, 11]], [[-9, -10, -11], [9, 10, 11]],
    // Tall, low, tall: the plot loses what is higher than the low one.
    [[1, 1, 1, 1, 1, 1, 8], [1, 1, 6], [1, 1, 1, 1, 9]],
    [[1e-10, 2e-10, 3e-10]], [[1e17, 1e17 + 16, 3e17], [1e20, 2e20, 5e20]],
    [[-1e-5, 123456.789, 99_999_999.5, 1_000_000_000]],
  ]

  @Test(arguments: chosen)
  func chosenSamples(values: [[Double]]) throws {
    try Self.check(values, options: MinistatReport.Options())
  }

  /// For 99.5 %, ministat uses the quantile of 99.8 %: the label differs, all else agrees.
  @Test func ministatsHighestLevelIsAnother() throws {
    guard Self.requireProgram() else { return }
    let values: [[Double]] = [[9, 10, 11], [19, 20, 22]]
    var options = MinistatReport.Options()
    options.confidence = .percent99Point5
    let (samples, output) = try MinistatProgram.run(values, options: options)
    options.confidence = try Confidence(percent: 99.8)
    let text = try MinistatReport(samples, options: options).text
    Self.expectSame(text.replacing("at 99.8%", with: "at 99.5%"), output)
  }

  /// Above 100 degrees of freedom ministat uses 1.960 at 95 %; the quantile is 1.984.
  @Test func ministatTakesLargeSamplesForNormal() throws {
    guard Self.requireProgram() else { return }
    let values = [100.0, 200].map { base in (0..<52).map { base + Double($0 % 5) } }
    let (samples, output) = try MinistatProgram.run(values, options: MinistatReport.Options())
    let report = try MinistatReport(samples)
    let student = try StudentT(degreesOfFreedom: 102)
    Self.expectSame(
      report.text, output, quantileRatio: student.quantile(.percent95) / 1.960)
  }

  /// One to seven samples, with ties, of 3 to 50 values at one of several scales.
  ///
  /// The offset is at most a few hundred times the spread: above that, ministat's deviation loses
  /// printed digits.
  private static func samples(using random: inout SeededGenerator) -> [[Double]] {
    let scale = [1e-6, 0.01, 1, 1, 1000, 1e7].randomElement(using: &random)!
    let base = [0.0, 0, 5, 50].randomElement(using: &random)!
    return (0..<[1, 2, 2, 2, 3, 3, 7].randomElement(using: &random)!).map { _ in
      let shift = [0.0, 0, 1, 3].randomElement(using: &random)!
      let tied = Bool.random(using: &random)
      return (0..<Int.random(in: 3...50, using: &random)).map { _ in
        let value =
          tied
          ? Double(Int.random(in: 0...10, using: &random)) / 4
          : Double.random(in: 0..<3, using: &random)
        return (base + shift + value) * scale
      }
    }
  }

  /// Whether the program is installed. Records an issue where it is missing although it must not
  /// be.
  private static func requireProgram() -> Bool {
    if !MinistatProgram.isInstalled {
      Issue.record("CI=true, and \(MinistatProgram.path) is not installed")
    }
    return MinistatProgram.isInstalled
  }

  private static func check(_ values: [[Double]], options: MinistatReport.Options) throws {
    guard requireProgram() else { return }
    let (samples, output) = try MinistatProgram.run(values, options: options)
    expectSame(try MinistatReport(samples, options: options).text, output)
  }

  /// Expects `text` to be `output`, with error bounds that are `quantileRatio` times as large.
  private static func expectSame(_ text: String, _ output: String, quantileRatio: Double = 1) {
    let marker = " +/- "
    let ours = text.split(separator: "\n", omittingEmptySubsequences: false)
    let theirs = output.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(ours.count == theirs.count, "\(output)\n\(text)")
    for (our, their) in zip(ours, theirs) {
      let ourParts = our.split(separator: marker)
      let theirParts = their.split(separator: marker)
      guard our.hasPrefix("\t"), ourParts.count == 2, theirParts.count == 2 else {
        #expect(our == their)
        continue
      }
      #expect(ourParts[0] == theirParts[0])
      #expect(ourParts[1].hasSuffix("%") == theirParts[1].hasSuffix("%"))
      guard ourParts[1] != theirParts[1] else { continue }
      let ourBound = Double(ourParts[1].replacing("%", with: "")) ?? .nan
      let theirBound = Double(theirParts[1].replacing("%", with: "")) ?? .nan
      #expect((ourBound / theirBound / quantileRatio - 1).magnitude < tableTolerance)
    }
  }
}
