internal import HoldfastCore

/// The part of a task that one processor does in one of the ranges.
struct GuestShare: Hashable, Sendable {
  let start: Address
  let steps: UInt64

  /// Divides the steps among `count` processors, in order, so that their numbers differ by at most
  /// one. A processor whose steps are in several ranges gets several shares, and one gets none only
  /// where there are fewer steps than processors.
  static func shares(of ranges: [AddressRange], stride: ByteCount, count: Int) -> [[GuestShare]] {
    func steps(_ range: AddressRange) -> UInt64 {
      // Each step accesses 8 bytes, all of them in the range.
      let length = range.length.rawValue
      return length < 8 ? 0 : (length - 8) / stride.rawValue + 1
    }
    let total = ranges.reduce(0) { $0 + steps($1) }
    var shares: [[GuestShare]] = []
    var before: UInt64 = 0
    var place = 0
    var within: UInt64 = 0
    for number in 1...UInt64(count) {
      let (high, low) = total.multipliedFullWidth(by: number)
      var missing = UInt64(count).dividingFullWidth((high, low)).quotient - before
      before += missing
      var share: [GuestShare] = []
      while missing > 0 {
        let left = steps(ranges[place]) - within
        let taken = min(left, missing)
        if taken > 0 {
          share.append(
            GuestShare(
              start: ranges[place].start + ByteCount(within * stride.rawValue), steps: taken))
        }
        within += taken
        missing -= taken
        if within == steps(ranges[place]) {
          place += 1
          within = 0
        }
      }
      shares.append(share)
    }
    return shares
  }

  /// Returns the registers that a program starts with.
  func registers(
    _ task: GuestTask, stride: ByteCount, code: Address, words: Address
  ) -> Registers {
    var registers = Registers()
    registers.rip = code.rawValue
    // Programs set this first; the value counts for one that is stopped before.
    registers.rbx = .max
    registers.rdi = start.rawValue
    registers.rsi = steps
    registers.rdx = stride.rawValue
    registers.rcx = task.seed | 1
    registers.r8 = words.rawValue
    // The smallest power of two that is not less than the steps, less one.
    registers.r9 = steps <= 1 ? 0 : UInt64.max >> UInt64((steps - 1).leadingZeroBitCount)
    registers.r10 = 6_364_136_223_846_793_005
    registers.r15 = task.seed
    return registers
  }
}
