import Foundation
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

/// The program returns the huge pages that it reserved, however it ends.
///
/// Other processes may change the pool at the same time, so a count that differs afterwards is
/// checked again in another run; pages that the program loses are lost in every run.
///
/// One at a time: all take the lock of the huge pages, and a test that waits keeps a thread from
/// others.
@Suite(
  .serialized,
  .enabled(if: HostNeeds.canReserve, "needs root and a writable nr_hugepages for 2 MiB pages"))
struct ReserveHugePagesTests {
  private let pool = HugePagePool(size: .mebibytes(2))
}

extension ReserveHugePagesTests {
  /// A size for which the pool now lacks 120 pages.
  private func size() throws -> String {
    "\((try pool.available.rawValue + 120) * 2)M"
  }

  private func total() throws -> UInt64 { try #require(try pool.counts().total).rawValue }

  /// Calls the body until it leaves the pool as it was, at most four times.
  private func returnsPages(_ body: () throws -> Void) throws {
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

  @Test func returnsPagesAtTheEnd() throws {
    try returnsPages {
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

  @Test func returnsPagesWhenTheOutputFails() throws {
    try returnsPages {
      let outcome = try HoldfastProgram.run(
        "wire", "--memory", try size(), "--reserve-hugepages",
        output: .file("/dev/full", O_WRONLY))
      outcome.expectFailure(1, "No space left on device")
    }
  }

  @Test func reservesNothingWithoutOutput() throws {
    try returnsPages {
      let outcome = try HoldfastProgram.run(
        "wire", "--memory", try size(), "--reserve-hugepages", output: .closed)
      outcome.expectFailure(1, "standard output is closed")
    }
  }

  @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT])
  func returnsPagesOnASignal(_ signal: Int32) throws {
    var wasEnded = false
    // On a fast machine the program may end before the signal arrives.
    for _ in 0..<10 where !wasEnded {
      try returnsPages {
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

  @Test func returnsPagesOnSignalsAtAnyTime() throws {
    for step in 0..<12 {
      try returnsPages {
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
