import Foundation
import HoldfastStatistics

/// The ministat program of the Debian package of that name.
enum MinistatProgram {
  static let path = "/usr/bin/ministat"

  static let isInstalled = FileManager.default.isExecutableFile(atPath: path)

  /// Whether its absence is a failure: with CI=true, because root could have installed it.
  static let isRequired =
    ProcessInfo.processInfo.environment["CI"] == "true" && geteuid() == 0
    && FileManager.default.isExecutableFile(atPath: "/usr/bin/apt-get")

  /// The options of `options` as arguments.
  static func arguments(_ options: MinistatReport.Options) -> [String] {
    // ministat wants "99.5", but "95" and not "95.0".
    let percent = options.confidence.percent
    let level = percent == percent.rounded() ? String(Int(percent)) : String(percent)
    var arguments = ["-w", String(options.width), "-c", level]
    if options.separatesBars { arguments.append("-s") }
    if !options.showsPlot { arguments.append(options.showsComparisons ? "-A" : "-n") }
    return arguments
  }

  /// Runs ministat on files with `values`. Returns the samples as the program reads them, and its
  /// output.
  static func run(
    _ values: [[Double]], options: MinistatReport.Options
  ) throws -> (samples: [MinistatReport.Sample], output: String) {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("ministat-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let samples = try values.enumerated().map { index, values in
      let file = folder.appendingPathComponent("sample\(index)")
      try Data(values.map { "\($0)\n" }.joined().utf8).write(to: file)
      return MinistatReport.Sample(label: file.path, values: values)
    }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments(options) + samples.map(\.label)
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (samples, String(decoding: output, as: UTF8.self))
  }
}

/// SplitMix64: a stream of numbers that a seed determines.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
