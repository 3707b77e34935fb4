import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastSimulation

/// Random traces, compressed or not: each is read or refused.
struct FuzzTests {
  private static let lines = [
    "71fJw0x+SD/=,GB6uQC1N,2sh/Zja,558300,1673700,91.77,0.7,20.75,Interactive,8,32\n",
    "a,b,c,0,300,100.00000000001,0,0,Unknown,>24,>64\r\n",
    "\u{FEFF}\"vmid\";\"vm memory (gb) bucket\";vmcreated;vmdeleted\n1;1,75;3e2;\"600.0\"\n",
    "sep=;\na;b;c;1;2;3,5;4;5;Unknown;2;4\n;;;;;;;;;;\n",
  ]

  private func read(_ bytes: [UInt8], pieces: Int) throws(TraceError) -> [TraceGuest] {
    var parser = TraceParser(file: "x")
    var start = 0
    while start < bytes.count {
      let end = min(bytes.count, start + pieces)
      try parser.read(bytes[start..<end])
      start = end
    }
    try parser.finish()
    return parser.guests
  }

  @Test func `traces are the same in pieces of any length`() throws {
    var fuzz = Fuzz("traces", like: Self.lines)
    for _ in 0..<Fuzz.cases {
      let bytes = fuzz.bytes()
      let whole = Result { try read(bytes, pieces: .max / 2) }
      let pieces = Result { try read(bytes, pieces: Int.random(in: 1...9, using: &fuzz.random)) }
      switch (whole, pieces) {
      case (.success(let one), .success(let other)): #expect(one == other && !one.isEmpty)
      case (.failure(let one), .failure(let other)): #expect("\(one)" == "\(other)")
      default: Issue.record("\(bytes): \(whole), \(pieces)")
      }
      guard let guests = try? whole.get() else { continue }
      for guest in guests {
        #expect(guest.deleted >= guest.created && guest.memory > .zero)
        #expect(guest.memory <= .tebibytes(1024))
      }
    }
  }
}
