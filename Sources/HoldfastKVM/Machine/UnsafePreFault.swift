internal import CHoldfastKVM
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension VirtualMachine {
  /// Fills the guest's page tables for a range ahead of its touching it, on all given processors at once,
  /// each from a thread of its own. The corresponding request is `KVM_PRE_FAULT_MEMORY`.
  ///
  /// - Parameter processors: of this machine; none of them runs.
  /// - Returns: what was done; where the host cannot, that it cannot.
  /// - Throws: codes `invalidArgument` for a range that is not aligned to 4 KiB or no processor, `busy`,
  ///   `guestFault` where memory of the range is not there, `resourceShortage`, `host`.
  public func preFault(
    _ range: AddressRange, on processors: [VirtualCPU]
  ) throws(HoldfastError) -> PreFaultReport {
    try PreFault.perform(
      range, workers: processors.count, isSupported: capabilities.preFaults
    ) { number, address, length throws(HoldfastError) in
      let processor = processors[number]
      return try processor.withTurn(PreFault.operation(range)) { () throws(HoldfastError) in
        unsafe hf_kvm_pre_fault(processor.descriptor, &address, &length)
      }
    }
  }
}

/// The work, apart from the request itself, so that tests can answer in the kernel's place.
enum PreFault {
  /// One request of a worker: moves the address on, takes from the length what was done; returns 0 or a
  /// negative errno.
  typealias Request =
    @Sendable (_ worker: Int, _ address: inout UInt64, _ length: inout UInt64) throws(HoldfastError)
    -> Int32

  /// How often a worker asks again without getting on, before it gives up.
  static let patience = 10_000

  static func operation(_ range: AddressRange) -> String { "map the guest's \(range) ahead" }

  static func perform(
    _ range: AddressRange, workers: Int, isSupported: Bool, _ request: @escaping Request
  ) throws(HoldfastError) -> PreFaultReport {
    let operation = operation(range)
    let page = ByteCount.kibibytes(4)
    guard workers > 0, range.start.isAligned(to: page), range.end.isAligned(to: page) else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "it takes a processor, and a range in whole pages of \(page)")
    }
    guard isSupported else {
      return PreFaultReport(
        isSupported: false, bytes: .zero, requested: range.length, restarts: 0, duration: .zero)
    }
    let started = ContinuousClock.now
    let parts = parts(of: range, count: workers)
    let state = State()
    var threads: [BackgroundThread] = []
    for (number, part) in parts.enumerated().dropFirst() {
      let body: @Sendable () -> Void = { state.fill(part, number, operation, request) }
      if let thread = try? BackgroundThread("holdfast-pre\(number)", body) {
        threads.append(thread)
      } else {
        body()
      }
    }
    if let first = parts.first { state.fill(first, 0, operation, request) }
    for thread in threads { thread.join() }
    return try state.report(range, ContinuousClock.now - started)
  }

  /// Parts that begin at multiples of 1 GiB where there are enough of these, else of 2 MiB or 4 KiB:
  /// no two processors map the same large page.
  static func parts(of range: AddressRange, count: Int) -> [AddressRange] {
    let wanted = UInt64(count)
    let unit =
      [UInt64(1) << 30, 1 << 21].first { range.length.rawValue / $0 >= 2 * wanted } ?? 1 << 12
    let first = range.start.rawValue / unit
    let units = range.end.rawValue / unit - first + (range.end.rawValue % unit == 0 ? 0 : 1)
    var parts: [AddressRange] = []
    var start = range.start
    for number in 1...wanted {
      let place = Address((first + units / wanted * number + min(number, units % wanted)) * unit)
      let end = min(max(place, start), range.end)
      if start < end { parts.append(AddressRange(start, end)) }
      start = max(start, end)
    }
    return parts
  }

  /// What the workers have done.
  private final class State: Sendable {
    private let lock = Lock()
    /// Protected by `lock`, all of them.
    private nonisolated(unsafe) var bytes: UInt64 = 0
    private nonisolated(unsafe) var restarts: UInt64 = 0
    private nonisolated(unsafe) var failure: HoldfastError?

    func fill(_ part: AddressRange, _ number: Int, _ operation: String, _ request: Request) {
      var address = part.start.rawValue
      var length = part.length.rawValue
      var restarts: UInt64 = 0
      var patience = PreFault.patience
      var failure: HoldfastError?
      while length > 0, failure == nil {
        let before = length
        do throws(HoldfastError) {
          let status = try request(number, &address, &length)
          if length < before { patience = PreFault.patience }
          guard status < 0 || length == before else { continue }
          let error = Errno(rawValue: -status)
          guard status == 0 || error == .interrupted || error == .resourceTemporarilyUnavailable,
            patience > 0
          else { throw Self.failure(error, operation, Address(address)) }
          patience -= 1
          restarts += 1
        } catch {
          failure = error
        }
      }
      lock.withLock {
        unsafe bytes += part.length.rawValue - length
        unsafe self.restarts += restarts
        if unsafe self.failure == nil { unsafe self.failure = failure }
      }
    }

    private static func failure(
      _ error: Errno, _ operation: String, _ address: Address
    ) -> HoldfastError {
      let request = "KVM_PRE_FAULT_MEMORY"
      // EFAULT, ENOENT, EHWPOISON: not accessible here, or in no slot.
      guard [.badAddress, .noSuchFileOrDirectory, Errno(rawValue: 133)].contains(error) else {
        return HoldfastError(errno: error, operation: operation, request: request, address: address)
      }
      return HoldfastError(
        .guestFault, operation: operation, address: address,
        reason: "\(request) failed: the guest has no memory there", errno: error.rawValue,
        advice: .other("map and wire the range, in a slot"))
    }

    func report(
      _ range: AddressRange, _ duration: Duration
    ) throws(HoldfastError) -> PreFaultReport {
      try lock.withLock { () throws(HoldfastError) in
        if let failure = unsafe failure { throw failure }
        return unsafe PreFaultReport(
          isSupported: true, bytes: ByteCount(bytes), requested: range.length, restarts: restarts,
          duration: duration)
      }
    }
  }
}
