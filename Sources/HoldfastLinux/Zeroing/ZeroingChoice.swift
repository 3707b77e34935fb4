public import HoldfastCore

/// The way in which this process zeroes large amounts of memory, and how it was chosen.
///
/// The choice is made once for each process, by measuring all ways that the processor supports: in
/// the memory of the first arena that is at least as large as a slice, when it is populated, or
/// when `holdfast host` asks, in memory of its own. A slice is max(64 MiB, 2 x L3 cache), at most
/// 512 MiB, so that the measured memory is as cold in the caches as all that is zeroed later. All
/// threads of the caller take part, in pieces of the usual size: a way that is the fastest on one
/// thread need not be when the memory's bandwidth is the limit. The ways take turns, so that other
/// work of the host affects all of them, and only the best of the first round are measured again.
/// It takes some milliseconds.
///
/// The environment variable `HOLDFAST_ZEROING` names a way instead, for tests and benchmarks.
public struct ZeroingChoice: Hashable, Sendable, Codable {
  /// How the choice was made.
  public enum Origin: String, Hashable, Sendable, Codable {
    /// The fastest one measured.
    case measured
    /// Named by `HOLDFAST_ZEROING`.
    case environment
    /// The default, because nothing was measured.
    case unmeasured
  }

  /// The measured speed of a way.
  public struct Speed: Hashable, Sendable, Codable {
    /// The way.
    public var kernel: ZeroingKernel
    /// The speed of all threads together, in the best round.
    public var bytesPerSecond: Double
  }

  /// The way that is used.
  public var kernel: ZeroingKernel
  /// How it was chosen.
  public var origin: Origin
  /// The number of threads that measured, or would have.
  public var threads: Int
  /// The measured speeds in the order of ``ZeroingKernel``; empty if nothing was measured.
  public var speeds: [Speed]

  /// The environment variable that names a way: `HOLDFAST_ZEROING`.
  public static let variable = "HOLDFAST_ZEROING"

  /// The way that the environment names, or nil.
  ///
  /// - Throws: `HoldfastError` with code `host` if the name is unknown or this processor lacks it.
  public static func environment() throws(HoldfastError) -> ZeroingKernel? {
    guard let value = Environment.value(variable) else { return nil }
    return try named(value)
  }

  /// The way with a name.
  static func named(_ name: String) throws(HoldfastError) -> ZeroingKernel {
    let names = ZeroingKernel.supported.map(\.rawValue).joined(separator: ", ")
    guard let kernel = ZeroingKernel(rawValue: name) else {
      throw HoldfastError(
        .host, operation: "use \(variable)", reason: "'\(name)' is not a way to zero memory",
        advice: .other("one of \(names), or unset it"))
    }
    guard kernel.isSupported else {
      throw HoldfastError(
        .host, operation: "use \(variable)", reason: "this processor does not support \(name)",
        advice: .other("one of \(names), or unset it"))
    }
    return kernel
  }

  /// Chooses in rounds: the first measures all candidates, the others those within 30 % of the
  /// best.
  ///
  /// - Parameter speed: measures a candidate, in bytes per second.
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
