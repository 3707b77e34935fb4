import Glibc
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Synchronization
import Testing

@testable import HoldfastKVM

/// Mapping guest memory ahead: with simulated answers of the kernel, and with this host's KVM.
struct PreFaultTests {
  private let range = AddressRange(from: Address(4096), to: Address(10 << 30))

  @Test(arguments: [1, 2, 3, 7, 64])
  func `the parts make up the range, and no large page is divided`(count: Int) {
    let ends: [UInt64] = [8192, 12288, 5 << 21, 300 << 21 + 4096, 10 << 30, 64 << 30]
    for end in ends {
      let range = AddressRange(from: Address(4096), to: Address(end))
      let parts = PreFault.parts(of: range, count: count)
      #expect(parts.first?.start == range.start && parts.last?.end == range.end)
      #expect(parts.count <= count && parts.allSatisfy { !$0.isEmpty })
      for (one, next) in zip(parts, parts.dropFirst()) {
        #expect(one.end == next.start)
        if end >= 10 << 30 { #expect(one.end.isAligned(to: .mebibytes(2))) }
      }
    }
  }

  @Test func `a request that makes partial progress and is interrupted is repeated to its end`()
    throws
  {
    let calls = Atomic<Int>(0)
    let report = try PreFault.perform(range, workers: 3, isSupported: true) {
      _, address, length in
      let call = calls.wrappingAdd(1, ordering: .relaxed).newValue
      if call % 3 == 1 { return -EINTR }
      if call % 3 == 2 { return -EAGAIN }
      let done = min(length, 1 << 30)
      address += done
      length -= done
      // What was done before a signal came counts.
      return call % 2 == 0 ? -EINTR : 0
    }
    #expect(report.isSupported && report.bytes == range.length && report.requested == range.length)
    #expect(report.restarts >= 20)
  }

  @Test func `a refusal by the kernel is an error with the address`() {
    let refused = #expect(throws: HoldfastError.self) {
      try PreFault.perform(range, workers: 2, isSupported: true) { _, address, length in
        if address >= 5 << 30 { return -EFAULT }
        address += 4096
        length -= 4096
        if length > 1 << 20 { length = 1 << 20 }
        return 0
      }
    }
    #expect(
      refused?.code == .guestFault && refused?.reason.contains("KVM_PRE_FAULT_MEMORY") == true)
    #expect(refused?.address.map { $0 >= Address(5 << 30) } == true)
    // A request that makes no progress fails in the end.
    let stuck = #expect(throws: HoldfastError.self) {
      try PreFault.perform(range, workers: 1, isSupported: true) { _, _, _ in -EAGAIN }
    }
    #expect(stuck?.errno == EAGAIN)
    #expect(throws: HoldfastError.self) {
      try PreFault.perform(range, workers: 0, isSupported: true) { _, _, _ in 0 }
    }
  }

  @Test(.enabled(if: HostNeeds.kvm, "\(HostNeeds.kvmComment)"))
  func `this host maps memory ahead, or the report says that it cannot`() throws {
    let guest = try WiredGuest(size: .mebibytes(8))
    let runner = try GuestRunner(memory: guest.memory, processors: 2)
    let report = try runner.machine.preFault(guest.range, on: runner.processors)
    #expect(report.isSupported == runner.machine.capabilities.preFaults)
    #expect(report.isSupported == (HostProbe().host().kvm.preFaults == true))
    #expect(report.bytes == (report.isSupported ? guest.range.length : .zero))
    #expect(try runner.run(GuestTask(.scan, over: [guest.range])).wrongWords == 0)
  }
}
