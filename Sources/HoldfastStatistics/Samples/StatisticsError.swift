/// Why a sample, a confidence level or a report was refused.
///
/// Every input of this module that cannot be computed with ends here; none traps.
public enum StatisticsError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A sample has fewer values than ``SampleMoments/minimumCount``, or a moments record has a
  /// count outside of ``SampleMoments/minimumCount`` through 2^53.
  case unusableCount(Int)

  /// The value at `index` of a sample is NaN, infinite, or larger in magnitude than
  /// ``SampleMoments/largestMagnitude``.
  case unusableValue(index: Int)

  /// An average or a standard deviation is NaN, infinite, negative where it may not be, or larger
  /// in magnitude than ``SampleMoments/largestMagnitude``.
  case unusableMoments

  /// A confidence level, in percent, outside of ``Confidence/range``.
  case confidenceOutOfRange(percent: Double)

  /// Student's t distribution needs one degree of freedom or more.
  case degreesOfFreedomOutOfRange(Int)

  /// A report takes one to ``MinistatReport/largestSampleCount`` samples.
  case unusableSampleCount(Int)

  /// A plot width, in columns, outside of ``MinistatReport/Options/widths``.
  case widthOutOfRange(Int)

  /// The reason, in a sentence without a full stop.
  public var description: String {
    switch self {
    case .unusableCount(let count):
      "a sample must contain at least \(SampleMoments.minimumCount) values, not \(count)"
    case .unusableValue(let index):
      "value \(index) is not a number within ±\(SampleMoments.largestMagnitude)"
    case .unusableMoments:
      "an average or standard deviation is not a number within ±\(SampleMoments.largestMagnitude)"
    case .confidenceOutOfRange(let percent):
      "confidence of \(percent)% is outside of \(Confidence.range)%"
    case .degreesOfFreedomOutOfRange(let count):
      "Student's t needs one degree of freedom or more, not \(count)"
    case .unusableSampleCount(let count):
      "a report takes 1 to \(MinistatReport.largestSampleCount) samples, not \(count)"
    case .widthOutOfRange(let width):
      "a plot width of \(width) columns is outside of \(MinistatReport.Options.widths)"
    }
  }
}
