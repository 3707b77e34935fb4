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

/// A time as people type it: `90s`, `30m`, `12h`, `1.5d`.
struct TimeSpan: Hashable, Sendable {
  let seconds: Double

  var duration: Duration { .seconds(seconds) }

  /// Reads a time from a second to ten years.
  init(_ text: String) throws(Size.Problem) {
    guard let unit = text.last, "smhd".contains(unit), Double(plain: text.dropLast()) != nil,
      let duration = try? Duration(typed: text)
    else {
      throw Size.Problem(
        description: "it is not a number with one of the units s, m, h and d, such as 30m or 2d")
    }
    seconds = duration.seconds
    guard (1...315_360_000).contains(seconds) else {
      throw Size.Problem(
        description: "it is too \(seconds < 1 ? "short" : "long"), use a time from 1s to 3650d")
    }
  }
}

/// A percentage as people type it: `10`, `0.1%`.
struct Percentage: Hashable, Sendable {
  /// The share, from 0 to 1.
  let share: Double

  init(_ text: String) throws(Size.Problem) {
    let digits = text.hasSuffix("%") ? text.dropLast() : text[...]
    guard let number = Double(plain: digits), number <= 100 else {
      throw Size.Problem(description: "it is not a percentage, use a number from 0 to 100")
    }
    share = number / 100
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
      let weight = halves.count == 1 ? 1 : Double(plain: halves[1]) ?? 0
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

extension Double {
  /// Reads digits with at most one point between them, and nothing else.
  fileprivate init?(plain text: Substring) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    let isPlain =
      parts.count <= 2
      && parts.allSatisfy { part in !part.isEmpty && part.utf8.allSatisfy { (48...57).contains($0) }
      }
    guard isPlain, text.count <= 20, let value = Double(text) else { return nil }
    self = value
  }
}
