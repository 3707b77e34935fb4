internal import CHoldfastKVM
internal import Holdfast
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension VirtualMachine {
  /// Maps a range in the guest's page tables before the guest accesses it, on several processors at
  /// once, with a thread for each. The corresponding request is `KVM_PRE_FAULT_MEMORY`.
  ///
  /// - Parameters:
  ///   - range: guest addresses that have slots and are accessible; multiples of 4 KiB.
  ///   - processors: at least one processor of this machine, none of them in use.
  /// - Returns: what was mapped. Where the host's KVM cannot map ahead, the report says so.
  /// - Throws: code `invalidArgument` for an unaligned range or no processors; `busy` where another
  ///   thread uses a processor; `guestFault` where a part of the range has no slot or is not
  ///   accessible; `resourceShortage` or `host` where the request fails otherwise. Parts of the
  ///   range may be mapped then.
  public func preFault(
    _ range: AddressRange, on processors: [VirtualCPU]
  ) throws(HoldfastError) -> PreFaultReport {
    try PreFault.perform(
      range, workers: processors.count, isSupported: capabilities.preFaults
    ) { number, address, length throws(HoldfastError) in
      let processor = processors[number]
      return try processor.withExclusiveUse(PreFault.operation(range)) { () throws(HoldfastError) in
        let status = unsafe hf_kvm_pre_fault(processor.descriptor, &address, &length)
        let error = Errno(rawValue: -status)
        guard error == .badAddress, let memory = self.entry(at: Address(address))?.served,
          (try? memory.faultHandler?.serve(Address(address), .read)) != nil
        else { return status }
        return -Errno.resourceTemporarilyUnavailable.rawValue
      }
    }
  }
}

/// The work apart from the request itself, which tests replace.
enum PreFault {
  /// One request by a worker. It advances the address and reduces the length by what it mapped, and
  /// returns 0 or a negative errno.
  typealias Request =
    @Sendable (_ worker: Int, _ address: inout UInt64, _ length: inout UInt64) throws(HoldfastError)
    -> Int32

  /// How often a worker repeats a request that makes no progress before it fails.
  static let attempts = 10_000

  static func operation(_ range: AddressRange) -> String { "map guest addresses \(range) ahead" }

  static func perform(
    _ range: AddressRange, workers: Int, isSupported: Bool, _ request: @escaping Request
  ) throws(HoldfastError) -> PreFaultReport {
    let operation = operation(range)
    let page = ByteCount.kibibytes(4)
    guard workers > 0, range.start.isAligned(to: page), range.end.isAligned(to: page) else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: workers > 0 ? "the range is not aligned to \(page)" : "no processor is given")
    }
    guard isSupported else {
      return PreFaultReport(
        isSupported: false, bytes: .zero, requested: range.length, restarts: 0, duration: .zero)
    }
    let started = Instant.now
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
    return try state.report(range, Instant.now - started)
  }

  /// Divides a range into parts that start at multiples of 1 GiB where there are enough of these,
  /// else of 2 MiB or 4 KiB, so that no two processors map the same large page.
  static func parts(of range: AddressRange, count: Int) -> [AddressRange] {
    let wanted = UInt64(count)
    let large: [UInt64] = [1 << 30, 1 << 21]
    let unit: UInt64 = large.first { range.length.rawValue / $0 >= 2 * wanted } ?? 1 << 12
    let first = range.start.rawValue / unit
    let units = range.end.rawValue / unit - first + (range.end.rawValue % unit == 0 ? 0 : 1)
    var parts: [AddressRange] = []
    var start = range.start
    for number in 1...wanted {
      // The last part may end at 2^64.
      let count = first + units / wanted * number + min(number, units % wanted)
      let place = Address(count.saturatingProduct(unit))
      let end = min(max(place, start), range.end)
      if start < end { parts.append(AddressRange(from: start, to: end)) }
      start = max(start, end)
    }
    return parts
  }

  /// The sums over all workers.
  private final class State: Sendable {
    private let lock = Lock()
    /// Protected by `lock`, as are the next two.
    private nonisolated(unsafe) var bytes: UInt64 = 0
    private nonisolated(unsafe) var restarts: UInt64 = 0
    private nonisolated(unsafe) var failure: HoldfastError?

    func fill(_ part: AddressRange, _ number: Int, _ operation: String, _ request: Request) {
      var address = part.start.rawValue
      var length = part.length.rawValue
      var restarts: UInt64 = 0
      var attempts = PreFault.attempts
      var failure: HoldfastError?
      while length > 0, failure == nil {
        let before = length
        do throws(HoldfastError) {
          let status = try request(number, &address, &length)
          if length < before { attempts = PreFault.attempts }
          guard status < 0 || length == before else { continue }
          let error = Errno(rawValue: -status)
          guard status == 0 || error == .interrupted || error == .resourceTemporarilyUnavailable,
            attempts > 0
          else { throw Self.failure(error, operation, Address(address)) }
          attempts -= 1
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
      // EFAULT, EHWPOISON: not accessible in this process. ENOENT: no slot.
      guard [.badAddress, .noSuchFileOrDirectory, Errno(rawValue: 133)].contains(error) else {
        return HoldfastError(errno: error, operation: operation, request: request, address: address)
      }
      return HoldfastError(
        .guestFault, operation: operation, address: address,
        reason: "\(request) failed: a part of the range has no slot or is not accessible",
        errno: error.rawValue,
        advice: .other("add a slot for the range, and map and wire it"))
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
