public import HoldfastCore

/// The way in which this process zeroes large amounts of memory, and how it was chosen.
///
/// The choice is made once in a process, by measuring all ways that the processor has: on the memory of
/// the first arena of 64 MiB or more when it is brought in, where nobody waits for ten milliseconds
/// more and what is measured is as cold in the caches as all that will be zeroed; or when
/// `holdfast host` asks, on memory of its own. All threads that zero take part, in pieces of the size
/// that they share out: what is fastest on one thread may only be first at the memory's door, and with
/// all threads it is the memory that decides. Ways are taken in turn, so that what else the machine
/// does meets all of them, and only the best of the first round are measured again.
///
/// The environment variable `HOLDFAST_ZEROING` names a kernel instead, for tests and benchmarks.
public struct ZeroingChoice: Hashable, Sendable, Codable {
  /// How the choice came about.
  public enum Origin: String, Hashable, Sendable, Codable {
    /// The fastest of those measured.
    case measured
    /// Named by `HOLDFAST_ZEROING`.
    case environment
    /// Nothing could be measured.
    case unmeasured
  }

  /// What a kernel was measured to do.
  public struct Speed: Hashable, Sendable, Codable {
    public var kernel: ZeroingKernel
    /// Over all threads together, the best of the rounds.
    public var bytesPerSecond: Double
  }

  public var kernel: ZeroingKernel
  public var origin: Origin
  /// The threads that measured.
  public var threads: Int
  /// In the order of ``ZeroingKernel``; empty where nothing was measured.
  public var speeds: [Speed]

  /// The variable that names a kernel.
  public static let variable = "HOLDFAST_ZEROING"

  /// The kernel that the environment names, or nil.
  ///
  /// - Throws: `HoldfastError` where it names none or one that this processor lacks.
  public static func environment() throws(HoldfastError) -> ZeroingKernel? {
    guard let value = Environment.value(variable) else { return nil }
    return try named(value)
  }

  /// The kernel of a name.
  static func named(_ name: String) throws(HoldfastError) -> ZeroingKernel {
    let names = ZeroingKernel.supported.map(\.rawValue).joined(separator: ", ")
    guard let kernel = ZeroingKernel(rawValue: name) else {
      throw HoldfastError(
        .host, operation: "use \(variable)", reason: "'\(name)' is no way to zero memory",
        advice: .other("one of \(names), or unset it"))
    }
    guard kernel.isSupported else {
      throw HoldfastError(
        .host, operation: "use \(variable)", reason: "this processor has no \(name)",
        advice: .other("one of \(names), or unset it"))
    }
    return kernel
  }

  /// Chooses by rounds: all candidates first, then those that came within 30 % of the best.
  ///
  /// - Parameter speed: measures a candidate, in bytes a second.
  static func measured(
    _ candidates: [ZeroingKernel] = ZeroingKernel.supported, threads: Int, rounds: Int = 2,
    speed: (ZeroingKernel) -> Double
  ) -> ZeroingChoice {
    var best = [Double](repeating: 0, count: candidates.count)
    for round in 0..<rounds {
      let enough = round == 0 ? 0 : 0.7 * (best.max() ?? 0)
      for (index, kernel) in candidates.enumerated() where best[index] >= enough {
        best[index] = max(best[index], speed(kernel))
      }
    }
    let first = candidates.indices.max { best[$0] < best[$1] }
    return ZeroingChoice(
      kernel: first.map { candidates[$0] } ?? .unmeasured, origin: .measured, threads: threads,
      speeds: zip(candidates, best).map { Speed(kernel: $0, bytesPerSecond: $1) })
  }
}
