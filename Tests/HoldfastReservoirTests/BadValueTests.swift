import Foundation
import HoldfastCore
import HoldfastReservoir
import HoldfastTestKit
import Testing

/// No number traps, whatever the call.
struct BadValueTests {
  private static let numbers: [UInt64] =
    [0, 1, 4095, 4097, 1 << 46, 1 << 62, (1 << 63) - 1, 1 << 63, .max - 4095, .max]
  private static let signed: [Int] = [.min, -1, 0, 1, .max]
  /// Durations that are too long for 64 bits of seconds or of nanoseconds, too.
  private static let durations: [Duration] = [
    .seconds(-1e19), .seconds(-1), .zero, .nanoseconds(1), .seconds(1e12), .seconds(1e19),
  ]

  private func attempt(_ body: () throws -> Void) throws {
    do { try body() } catch is HoldfastError {}
  }

  // On a mount with a limit, so that a mistake does not take all of the host's memory.
  @Test(.enabled(if: HostNeeds.isRoot, "needs root, to mount a tmpfs"))
  func `plans, requests and options`() throws {
    let place = try Place(fileSystem: "tmpfs", size: .mebibytes(16))
    let reservoir = try place.reservoir(.mebibytes(2))
    for number in Self.numbers {
      for count in Self.signed {
        let part = FillPlan.Part(count: count, size: ByteCount(number))
        _ = part.description
        for isAddition in [false, true] {
          try attempt {
            _ = try reservoir.fill(
              FillPlan([part, part], node: NodeID(.max), isAddition: isAddition),
              options: FillOptions(threads: count))
          }
          try attempt { _ = try reservoir.fill(FillPlan([part], isAddition: isAddition)) }
        }
      }
      var request = LeaseRequest(size: ByteCount(number), name: try LeaseName("bad"))
      request.threads = .min
      request.grows = true
      request.timeout = .nanoseconds(1)
      request.node = NodeID(.max)
      try attempt { _ = try reservoir.lease(request) }
    }
    try attempt { _ = try reservoir.fill(FillPlan([])) }
    #expect(try reservoir.status().rows.reduce(0) { $0 + $1.ready } == 1)
  }

  @Test func `threads and times`() throws {
    let place = try Place()
    let reservoir = try place.reservoir(.mebibytes(2))
    for threads in Self.signed {
      _ = try reservoir.lease(LeaseRequest(size: .mebibytes(2), name: LeaseName("vm")))
      let options = RecycleOptions(reuse: .scrub, verifies: true, threads: threads)
      _ = try reservoir.recycle(try LeaseName("vm"), options: options)
    }
    for time in Self.durations {
      // Nothing has it open afterwards, so no call waits.
      _ = try reservoir.lease(LeaseRequest(size: .mebibytes(2), name: LeaseName("vm")))
      _ = try reservoir.collect(CollectOptions(age: time))
      var options = RecycleOptions(reuse: .scrub)
      options.timeout = time
      options.size = ByteCount(.max)
      try attempt { _ = try reservoir.recycle(try LeaseName("vm"), options: options) }
      try attempt { _ = try reservoir.release(try LeaseName("vm")) }
      try attempt { _ = try reservoir.fill([.mebibytes(2)]) }
      let event = ReservoirEvent(.lease, size: .tebibytes(1), duration: time, waited: time)
      #expect(ReservoirEvent(message: event.message) != nil)
      var request = LeaseRequest(size: .mebibytes(2))
      request.timeout = time
      let client = ReservoirClient(socket: "/nowhere/\0/socket")
      #expect(throws: HoldfastError.self) { try client.lease(request) }
    }
  }

  @Test func `receipts are read whatever their numbers are`() throws {
    for number in Self.numbers {
      for seconds in ["0", "1e19", "-1e300", "1e300"] {
        let lease = """
          {"path":"/x","name":"x","sizeBytes":\(number),"pageBytes":\(number),
           "trimmedBytes":\(number),"grownBytes":\(number),"isHeld":true,"isExclusive":false,
           "waitedSeconds":\(seconds),"seconds":\(seconds)}
          """
        let receipt = try JSONDecoder().decode(LeaseReceipt.self, from: Data(lease.utf8))
        #expect(!receipt.description.isEmpty)
        let fill = """
          {"made":[{"count":-1,"sizeBytes":\(number)}],"bytes":\(number),"found":-1,"removed":-1,
           "reservedPages":\(number),"seconds":\(seconds)}
          """
        let report = try JSONDecoder().decode(FillReport.self, from: Data(fill.utf8))
        #expect(!report.description.isEmpty)
      }
    }
  }

  @Test func `names and paths`() throws {
    for text in ["", "..", "/", "a/b", "a\0", "\u{202E}", String(repeating: "a", count: 129)] {
      #expect(throws: HoldfastError.self) { try LeaseName(text) }
      #expect(throws: HoldfastError.self) { try Reservoir(mount: text) }
      #expect(throws: HoldfastError.self) { try Reservoir.create(mount: text) }
      #expect(throws: HoldfastError.self) { try ReservoirClient(mount: text) }
      #expect(throws: HoldfastError.self) { try ReservoirClient(socket: text).status() }
    }
  }
}
