import Foundation
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

/// Huge pages that the program reserves are given back whichever way it ends.
///
/// Others may raise and lower the pool at the same time, so a count that differs afterwards is
/// looked at again in another run; pages that the program loses are lost in every run.
///
/// One at a time: all take the lock of the huge pages, and a test that waits keeps a thread from
/// others.
@Suite(
  .serialized,
  .enabled(if: HostNeeds.canReserve, "needs root and a writable nr_hugepages for 2 MiB pages"))
struct ReserveHugePagesTests {
  private let pool = HugePagePool(size: .mebibytes(2))

  /// A size for which 120 pages are missing now.
  private func size() throws -> String {
    "\((try pool.available.rawValue + 120) * 2)M"
  }

  private func total() throws -> UInt64 { try #require(try pool.counts().total).rawValue }

  /// Calls the body until the pool is afterwards as it was before, at most four times.
  private func givesBack(_ body: () throws -> Void) throws {
    try HugePageLock.withLock {
      for _ in 0..<3 {
        let before = try total()
        try body()
        if try total() == before { return }
      }
      let before = try total()
      try body()
      #expect(try total() == before, "the pool has not been lowered to what it was")
    }
  }

  @Test func givesBackAtTheEnd() throws {
    try givesBack {
      let arguments = ["wire", "--memory", try size(), "--reserve-hugepages", "--format", "json"]
      let outcome = try HoldfastProgram(arguments).wait()
      #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
      let value = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
      let receipt = try #require(value as? [String: Any])
      #expect(receipt["verified"] as? Bool == true)
      #expect(receipt["backing"] as? String == "hugetlb-2M")
      #expect(receipt["lockedBytes"] as? Int == receipt["requestedBytes"] as? Int)
      let reserved = try #require(receipt["reserved"] as? [String: Int])
      #expect(reserved["pageBytes"] == 2 << 20 && reserved["pages"] ?? 0 > 0)
    }
  }

  @Test func givesBackWhenTheOutputFails() throws {
    try givesBack {
      let outcome = try HoldfastProgram.run(
        "wire", "--memory", try size(), "--reserve-hugepages",
        output: .file("/dev/full", O_WRONLY))
      outcome.expectFailure(1, "No space left on device")
    }
  }

  @Test func reservesNothingWithoutOutput() throws {
    try givesBack {
      let outcome = try HoldfastProgram.run(
        "wire", "--memory", try size(), "--reserve-hugepages", output: .closed)
      outcome.expectFailure(1, "standard output is closed")
    }
  }

  @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT])
  func givesBackOnASignal(_ signal: Int32) throws {
    var wasEnded = false
    // On a fast machine the program may be done before the signal comes.
    for _ in 0..<10 where !wasEnded {
      try givesBack {
        let before = try total()
        let program = try HoldfastProgram(["wire", "--memory", try size(), "--reserve-hugepages"])
        _ = try eventually(within: .seconds(10)) { try total() != before }
        program.send(signal)
        let outcome = try program.wait()
        if outcome.signal == signal {
          wasEnded = true
          #expect(outcome.output.isEmpty && outcome.error.isEmpty, "\(outcome)")
        } else {
          #expect(outcome.status == 0, "\(outcome)")
        }
      }
    }
    #expect(wasEnded, "the program was never ended by the signal")
  }

  @Test func givesBackOnSignalsAtAnyTime() throws {
    for step in 0..<12 {
      try givesBack {
        let program = try HoldfastProgram(["wire", "--memory", try size(), "--reserve-hugepages"])
        usleep(UInt32(20_000 + step * 15_000))
        program.send(SIGTERM)
        let outcome = try program.wait()
        #expect(outcome.signal == SIGTERM || outcome.status == 0, "\(outcome)")
        #expect(outcome.error.isEmpty, "\(outcome)")
      }
    }
  }
}
