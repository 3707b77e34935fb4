public import HoldfastCore

/// A small program in machine code that works on a range of guest addresses in steps: a step touches one
/// word of 8 bytes. It needs no memory of its own, so that the range may be wholly absent.
///
/// Words are compared with a pattern, a different number at each address and for each seed, so that
/// a word of another page, guest or time is found out.
public struct GuestProgram: Hashable, Sendable {
  public let name: String
  /// Runs at any address, in long mode.
  public let code: [UInt8]
  /// Whether it runs until it is told to stop.
  public let isEndless: Bool
  /// Whether it touches all words of a range, whatever the stride.
  public let isDense: Bool
  /// How often it touches each word, if it ends by itself.
  let passes: UInt64

  init(
    _ name: String, _ code: [UInt8], isEndless: Bool = false, isDense: Bool = false,
    passes: UInt64 = 1
  ) {
    self.name = name
    self.code = code
    self.isEndless = isEndless
    self.isDense = isDense
    self.passes = passes
  }

  /// Counts words that are not zero, in ascending order.
  public static let scan = GuestProgram("scan", Code.scan)
  /// The same for all words of the range: the processor's own loop, several times as fast a word.
  public static let scanAll = GuestProgram("scan-all", Code.scanAll, isDense: true)
  /// Writes the pattern.
  public static let fill = GuestProgram("fill", Code.fill)
  /// Counts words that differ from the pattern.
  public static let check = GuestProgram("check", Code.check)
  /// Writes the pattern everywhere, then checks it.
  public static let fillAndCheck = GuestProgram("fill-check", Code.fillAndCheck, passes: 2)
  /// The same as `scan`, `fill` and `check` in an order that looks random and is the same each time for
  /// a seed: each step once (a linear congruential generator with full period).
  public static let walkScan = GuestProgram("walk-scan", Code.walkScan)
  public static let walkFill = GuestProgram("walk-fill", Code.walkFill)
  public static let walkCheck = GuestProgram("walk-check", Code.walkCheck)
  /// Writes the pattern, then again and again checks each word and writes that of the next pass, until
  /// it is told to stop. Tells after each pass how many it has done.
  public static let touch = GuestProgram("touch", Code.touch, isEndless: true)
  /// Does nothing, for ever: touches no memory and minds no word to stop.
  public static let spin = GuestProgram("spin", Code.spin, isEndless: true)

  /// All of them.
  public static let all: [GuestProgram] = [
    scan, scanAll, fill, check, fillAndCheck, walkScan, walkFill, walkCheck, touch, spin,
  ]

  /// The word that the pattern has at an address: never zero.
  ///
  /// - Parameter pass: for what `touch` has written after so many passes.
  public static func pattern(at address: Address, seed: UInt64, pass: UInt64 = 0) -> UInt64 {
    (address.rawValue &+ (seed | 1) &+ 2 &* pass) &* Code.multiplier
  }
}

/// What a program is to do.
public struct GuestTask: Hashable, Sendable {
  public var program: GuestProgram
  /// The guest's addresses, which the processors share out among themselves.
  public var ranges: [AddressRange]
  /// From one word that is touched to the next, a multiple of 8: 4 KiB touches each page once.
  public var stride: ByteCount
  /// Sets the pattern, and the order of a walk. Its lowest bit does not count.
  public var seed: UInt64

  public init(
    _ program: GuestProgram, over ranges: [AddressRange], stride: ByteCount = .kibibytes(4),
    seed: UInt64 = 1
  ) {
    self.program = program
    self.ranges = ranges
    self.stride = stride
    self.seed = seed
  }
}
