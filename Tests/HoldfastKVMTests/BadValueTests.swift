import Foundation
import Holdfast
import HoldfastKVM
import HoldfastTestKit
import Testing

/// No number traps, whatever the call of a monitor.
struct BadValueTests {
  private static let numbers: [UInt64] =
    [0, 1, 7, 8, 4095, 4096, 4097, 1 << 21, 3 << 30, 1 << 32, 1 << 39, 1 << 46, 1 << 63]
    + [.max - 4095, .max - 7, .max]

  private func attempt(_ body: () throws -> Void) throws {
    do { try body() } catch is HoldfastError {}
  }

  @Test func `layouts of any size`() throws {
    for number in Self.numbers {
      guard let layout = try? RAMLayout(size: ByteCount(number)) else {
        #expect(number >= 1 << 46)
        continue
      }
      #expect(number < 1 << 46 && layout.limit >= layout.size)
      let arena = try Arena(size: .mebibytes(2), backing: .base)
      let memory = try GuestMemory(arena: arena, limit: .mebibytes(2))
      try attempt { try memory.mapRAM(layout) }
      #expect(memory.invariantProblems() == [])
    }
    #expect(throws: HoldfastError.self) { try RAMLayout(size: .tebibytes(64)) }
  }

  @Test func `patterns and reports of any numbers`() throws {
    for number in Self.numbers {
      _ = GuestProgram.pattern(at: Address(number), seed: number, pass: number)
      _ = SpecialRegisters.longMode(pageTables: number)
      for seconds in ["1e300", "-1e300", "1e19", "0"] {
        let preFault = """
          {"preFaultSupported":true,"preFaultedBytes":\(number),"preFaultRequestedBytes":\(number),
           "preFaultRestarts":\(number),"preFaultSeconds":\(seconds)}
          """
        let report = try JSONDecoder().decode(PreFaultReport.self, from: Data(preFault.utf8))
        #expect(!report.description.isEmpty)
        let guest = """
          {"program":"scan","processors":-1,"touches":\(number),"wrongWords":\(number),
           "firstWrong":\(number),"passes":\(number),"complete":false,"exits":{"halted":\(number)},
           "seconds":\(seconds)}
          """
        if let result = try? JSONDecoder().decode(GuestResult.self, from: Data(guest.utf8)) {
          #expect(!result.description.isEmpty)
        }
      }
    }
  }

  @Test(.enabled(if: HostNeeds.kvm, "\(HostNeeds.kvmComment)"))
  func `slots, ranges and tasks of any numbers`() throws {
    let guest = try WiredGuest()
    let machine = try VirtualMachine()
    let processor = try machine.makeProcessor()
    let runner = try GuestRunner(memory: guest.memory)
    for first in Self.numbers {
      try attempt {
        _ = try GuestRunner(machine: machine, processors: 1, controlAddress: Address(first))
      }
      try attempt { _ = try GuestRunner(memory: guest.memory, processors: Int(Int64.min)) }
      for second in Self.numbers {
        try attempt {
          let slot = try machine.addSlot(
            guestAddress: Address(first), hostAddress: guest.memory.hostAddress,
            length: ByteCount(second), flags: MemorySlot.Flags(rawValue: .max))
          try machine.removeSlot(slot)
        }
        try attempt {
          _ = try machine.addSlot(
            guestAddress: Address(first), hostAddress: second, length: ByteCount(second))
        }
        guard let range = AddressRange(Address(first), Address(second)) else { continue }
        try attempt { _ = try machine.preFault(range, on: [processor]) }
        try attempt { _ = try machine.preFault(range, on: []) }
        for stride in Self.numbers {
          let task = GuestTask(
            .scan, over: [range, range], stride: ByteCount(stride), seed: second)
          try attempt { _ = try runner.run(task, timeLimit: .milliseconds(1)) }
        }
      }
      for limit in [Duration.seconds(-1e19), .seconds(1e19)] where first < 8192 {
        let task = GuestTask(.scan, over: [guest.range], stride: ByteCount(first))
        try attempt { _ = try runner.run(task, timeLimit: limit) }
      }
    }
    try processor.answer([UInt8](repeating: 0, count: 10_000))
    try processor.answer([])
  }
}
