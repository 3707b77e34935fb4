internal import CHoldfastBench
internal import Holdfast
internal import HoldfastCore
internal import HoldfastKVM
internal import HoldfastLinux
internal import SystemPackage

/// The time of a guest's first write to a page of 4 KiB, by the thread that serves the page fault. All
/// guests write to one place of each of 112 pages, in a loop, in real mode; the times contain the loop.
public struct FirstAccesses: Sendable {
  /// A way to serve the faults.
  public enum Server: String, Hashable, Sendable, CaseIterable {
    /// A guest and a handler thread in C.
    case handlerInC = "handler in C"
    /// The same guest, whose processor serves them.
    case processorInC = "processor in C"
    /// Holdfast's handler threads.
    case handlerThreads = "handler threads"
    /// The guest's processor itself.
    case processors
  }

  /// The seconds for each page, one value for each run, of each way that was measured.
  public internal(set) var seconds: [Server: [Double]] = [:]
  /// Why a way was not measured, or nil.
  public internal(set) var problem: String?

  /// Measures all ways in each run, after a run that does not count.
  init(host: HostCapabilities, runs: Int) {
    for server in Server.allCases { seconds[server] = [] }
    do throws(HoldfastError) {
      for run in 0...runs {
        for server in Server.allCases where seconds[server] != nil {
          do throws(HoldfastError) {
            let value = try Self.measure(server, host)
            if run > 0 { seconds[server]?.append(value) }
          } catch {
            guard error.code == .unsupported else { throw error }
            seconds[server] = nil
            problem = error.reason
          }
        }
      }
    } catch {
      seconds = [:]
      problem = error.description
    }
  }

  /// The median of a way.
  func median(_ server: Server) -> Double? { HoldfastBench.median(seconds[server] ?? []) }

  /// How much longer processors take than another way.
  func ratio(to server: Server) -> PairedRatio? {
    PairedRatio(baseline: seconds[server] ?? [], candidate: seconds[.processors] ?? [])
  }

  /// The row of the table of budgets.
  var budget: Budget {
    Budget(
      "fault of a processor, 4 KiB, self-served", against: Server.handlerInC.rawValue, .times, 0.5,
      ratio(to: .handlerInC)?.median, problem: problem)
  }

  private static func measure(
    _ server: Server, _ host: HostCapabilities
  ) throws(HoldfastError) -> Double {
    let operation = "measure a guest's first accesses"
    if server == .handlerInC || server == .processorInC {
      let seconds = hf_bench_guest_faults(server == .processorInC ? 1 : 0)
      guard seconds > 0 else {
        let error = Errno(rawValue: Int32(-seconds))
        throw HoldfastError(
          error == .notSupportedOnSocket ? .unsupported : .host, operation: operation,
          reason: "the guest in C failed", errno: error.rawValue)
      }
      return seconds
    }
    let serving: FaultServing = server == .processors ? .processors : .handlerThreads
    let arena = try Arena(size: size, for: .paging, backing: .base, host: host, threads: 1)
    let guest = try GuestMemory(
      arena: arena, limit: size,
      demandPaging: DemandPaging(granularity: .basePage, serving: serving), host: host)
    let segment = try guest.allocateSegment("ram", size: size)
    try guest.map(segment, at: .zero)
    let machine = try VirtualMachine()
    // The program has no stack, and no event is delivered to it.
    try machine.addSlots(of: guest, flags: [], allowing: .data)
    guard guest.faultServing == serving else {
      throw HoldfastError(
        .unsupported, operation: operation,
        reason: "this host's KVM does not report the faults of its guests")
    }
    try guest.write(program, to: code)
    let processor = try machine.makeProcessor()
    var special = try processor.specialRegisters()
    special.code.base = 0
    special.code.selector = 0
    try processor.setSpecialRegisters(special)
    var registers = Registers()
    registers.rip = code.rawValue
    registers.rflags = 2
    try processor.setRegisters(registers)
    let start = Instant.now
    // On this thread, as in C.
    let exit = try processor.run()
    let seconds = (Instant.now - start).seconds
    guard exit == .halted, try guest.read(last, count: 1) == [1] else {
      throw HoldfastError(.guestFault, operation: operation, reason: "the guest ended: \(exit)")
    }
    return seconds / Double(pages)
  }

  private static let size = ByteCount.mebibytes(2)
  private static let pages: UInt64 = 112
  private static let code = Address(0x1000)
  private static let last = Address(0x8F000)

  /// The program in C, for real mode.
  private static let program: [UInt8] = [
    0xB8, 0x00, 0x20,  // mov ax, 0x2000
    0x8E, 0xD8,  // mov ds, ax
    0xC6, 0x06, 0x00, 0x00, 0x01,  // mov byte [0], 1
    0x05, 0x00, 0x01,  // add ax, 0x100
    0x3D, 0x00, 0x90,  // cmp ax, 0x9000
    0x72, 0xF1,  // jb to the second instruction
    0xF4,  // hlt
  ]
}
