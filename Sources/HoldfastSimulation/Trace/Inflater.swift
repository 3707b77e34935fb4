/// Decompresses a stream in the DEFLATE format (RFC 1951), a part at a time.
///
/// The input is any bytes of any length: what is not DEFLATE, or ends early, is an error, and no
/// more than the last 32 KiB of the output are kept.
struct Inflater {
  /// What is wrong with the input.
  enum Failure: Error {
    /// It is not in the format.
    case damaged
    /// It ends in the middle.
    case endsEarly
  }

  private enum State {
    case betweenBlocks
    case stored(left: Int)
    case coded(HuffmanCode, HuffmanCode)
    case ended
  }

  /// The bits of the input; what follows the stream is read from here.
  var input: BitReader
  /// The last 32 KiB of the output, and what was added since.
  private var output: [UInt8] = []
  private var state = State.betweenBlocks
  private var isLastBlock = false

  /// How far back a copy may refer.
  private static let window = 1 << 15
  /// How much is decompressed at once, about.
  private static let part = 1 << 16

  init(_ input: BitReader) {
    self.input = input
  }

  /// The next part of the output, not empty; nil at the end of the stream.
  mutating func next() throws -> ArraySlice<UInt8>? {
    if output.count > Self.window { output.removeFirst(output.count - Self.window) }
    let start = output.count
    while output.count - start < Self.part {
      switch state {
      case .betweenBlocks: try beginBlock()
      case .stored(let left): try copyStored(left, upTo: start + Self.part)
      case .coded(let lengths, let distances):
        try decode(lengths, distances, upTo: start + Self.part)
      case .ended: return output.count > start ? output[start...] : nil
      }
    }
    return output[start...]
  }

  private mutating func beginBlock() throws {
    if isLastBlock {
      state = .ended
      return
    }
    isLastBlock = try input.read(1) == 1
    switch try input.read(2) {
    case 0:
      input.skipToByte()
      let length = try input.read(16)
      guard try input.read(16) == ~length & 0xFFFF else { throw Failure.damaged }
      state = .stored(left: Int(length))
    case 1: state = .coded(.fixedLengths, .fixedDistances)
    case 2: state = try readCodes()
    default: throw Failure.damaged
    }
  }

  private mutating func copyStored(_ left: Int, upTo end: Int) throws {
    let count = min(left, end - output.count)
    for _ in 0..<count { output.append(UInt8(try input.read(8))) }
    state = left == count ? .betweenBlocks : .stored(left: left - count)
  }

  /// The order of the lengths of the code that the codes' lengths are in.
  private static let order = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
  ]

  private mutating func readCodes() throws -> State {
    let lengthCount = Int(try input.read(5)) + 257
    let distanceCount = Int(try input.read(5)) + 1
    let ownCount = Int(try input.read(4)) + 4
    var own = [UInt8](repeating: 0, count: 19)
    for place in Self.order.prefix(ownCount) { own[place] = UInt8(try input.read(3)) }
    let code = try HuffmanCode(own)
    var lengths: [UInt8] = []
    while lengths.count < lengthCount + distanceCount {
      switch try code.next(&input) {
      case let length where length < 16: lengths.append(UInt8(length))
      case 16:
        guard let last = lengths.last else { throw Failure.damaged }
        lengths += repeatElement(last, count: 3 + Int(try input.read(2)))
      case 17: lengths += repeatElement(0, count: 3 + Int(try input.read(3)))
      default: lengths += repeatElement(0, count: 11 + Int(try input.read(7)))
      }
    }
    guard lengths.count == lengthCount + distanceCount, lengths[256] > 0 else {
      throw Failure.damaged
    }
    return .coded(
      try HuffmanCode(Array(lengths[..<lengthCount])),
      try HuffmanCode(Array(lengths[lengthCount...])))
  }

  private static let lengthBases: [Int] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
  ]
  private static let lengthBits: [Int] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
  ]
  private static let distanceBases: [Int] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049,
    3073, 4097, 6145, 8193, 12289, 16385, 24577,
  ]

  private mutating func decode(
    _ lengths: HuffmanCode, _ distances: HuffmanCode, upTo end: Int
  ) throws {
    while output.count < end {
      let symbol = try lengths.next(&input)
      if symbol < 256 {
        output.append(UInt8(symbol))
        continue
      }
      if symbol == 256 {
        state = .betweenBlocks
        return
      }
      guard symbol - 257 < Self.lengthBases.count else { throw Failure.damaged }
      let extra = Self.lengthBits[symbol - 257]
      let length = Self.lengthBases[symbol - 257] + Int(try input.read(extra))
      let number = try distances.next(&input)
      guard number < Self.distanceBases.count else { throw Failure.damaged }
      let bits = max(0, number / 2 - 1)
      let distance = Self.distanceBases[number] + Int(try input.read(bits))
      guard distance <= output.count else { throw Failure.damaged }
      // The copy may overlap what it makes.
      let from = output.count - distance
      for place in from..<from + length { output.append(output[place]) }
    }
  }
}
