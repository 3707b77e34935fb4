internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastSimulation

/// What `--arrivals` takes.
enum ArrivalsOption: String, CaseIterable, ExpressibleByArgument {
  case steady
  case bursts
  case trace

  var pattern: SimulationOptions.Pattern {
    switch self {
    case .steady: .steady
    case .bursts: .bursts
    case .trace: .trace
    }
  }
}

/// What `--blocks` takes.
enum BlocksOption: String, CaseIterable, ExpressibleByArgument {
  case gib
  case superpage
  case both

  /// Those of the run that is reported.
  var blocks: SimulationOptions.Blocks { self == .superpage ? .superpage : .gib }
}

/// A time as people type it: `90s`, `30m`, `12h`, `1.5d`.
struct TimeSpan: Hashable, Sendable {
  let seconds: Double

  var duration: Duration { .seconds(seconds) }

  /// Reads a time from a second to ten years.
  init(_ text: String) throws(Size.Problem) {
    seconds = try Duration(typed: text, requiresUnit: true, atMost: 3650).seconds
    guard seconds >= 1 else {
      throw Size.Problem(description: "'\(text)' is too short: use at least 1s")
    }
  }
}

/// A percentage as people type it: `10`, `0.1%`.
struct Percentage: Hashable, Sendable {
  /// All of something.
  static let all = DecimalNumber(100)

  /// The percentage, exactly: 99.29 and 0.71 are 100, which sums of doubles are not.
  let percent: DecimalNumber

  /// The share, from 0 to 1.
  var share: Double { percent.double(timesTenTo: -2) }

  init(_ text: String) throws(Size.Problem) {
    let digits = text.hasSuffix("%") ? text.dropLast() : text[...]
    guard let number = DecimalNumber(digits), number <= Percentage.all else {
      throw Size.Problem(
        description: "it is not a percentage, use a number from 0 to 100 such as 12.5")
    }
    percent = number
  }
}

extension SizeMix {
  /// Reads `2G:30,8G:50,3.5G`; a size without a weight has the weight 1.
  init(argument text: String) throws(Size.Problem) {
    var parts: [Part] = []
    for item in text.split(separator: ",", omittingEmptySubsequences: false) {
      let halves = item.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      let size = try Size(String(halves[0])).bytes
      guard size.isMultiple(of: Geometry.small.pageSize) else {
        throw Size.Problem(description: "the size of '\(item)' is not a multiple of 4 KiB")
      }
      let weight = halves.count == 1 ? 1 : DecimalNumber(halves[1])?.double() ?? 0
      guard weight > 0 else {
        throw Size.Problem(
          description: "the weight of '\(item)' is not a number over 0, such as 20 in 8G:20")
      }
      parts.append(Part(size, weight: weight))
    }
    self.init(parts)
  }
}

/// Reads bytes per second: `1G`, `500M`, or 0 for none.
func scrubRate(_ text: String) throws(Size.Problem) -> ByteCount {
  text == "0" ? .zero : try Size(text.hasSuffix("/s") ? String(text.dropLast(2)) : text).bytes
}
