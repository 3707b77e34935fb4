internal import CHoldfastKVM
internal import HoldfastCore
internal import SystemPackage

/// The pages that guest programs need besides the memory that they access: their code, a cache line
/// of words for each processor, and page tables. They have a slot.
///
///     page 0       code
///     pages 1-16   64 bytes for each processor: stop word, passes done, wrong words
///     page 17, 18  the two upper page tables
///     from 19 on   a table for each GiB with 2 MiB pages, an identity map
@safe final class ControlMemory: Sendable {
  static let mostProcessors = 1024
  /// The addresses that one upper table covers.
  static let reach = ByteCount.gibibytes(512)

  let address: Address
  let size: ByteCount
  // SAFETY: mapped in `init`, unmapped in `deinit`. While a guest runs, only the processors' words
  // are accessed, with atomic loads and stores.
  private nonisolated(unsafe) let start: UnsafeMutableRawPointer

  var hostAddress: UInt64 { unsafe UInt64(UInt(bitPattern: start)) }
  var pageTables: Address { address + .kibibytes(17 * 4) }
  var code: Address { address }

  /// Maps the pages, with page tables for all addresses up to `limit` and for the pages themselves.
  ///
  /// - Throws: code `invalidArgument` beyond 512 GiB; `resourceShortage` where mmap(2) fails.
  init(at address: Address, limit: Address) throws(HoldfastError) {
    let operation = "create the guest programs' page tables"
    guard address.isAligned(to: .kibibytes(4)), address <= .zero + Self.reach,
      limit <= .zero + Self.reach
    else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "the guest address \(max(address, limit)) is unaligned or exceeds the programs' "
          + "limit of \(Self.reach)")
    }
    let gibibyte = UInt64(1) << 30
    // The pages themselves, less than 4 MiB, need tables too.
    let end = max(limit.rawValue, address.rawValue + (4 << 20))
    let tables = min((end + gibibyte - 1) / gibibyte, 512)
    size = .kibibytes((19 + tables) * 4)
    self.address = address
    var place: UnsafeMutableRawPointer?
    let status = unsafe hf_kvm_map_memory(Int(size.rawValue), &place)
    try KVMCalls.check(status, operation, "mmap")
    guard let place = unsafe place else {
      throw HoldfastError(.host, operation: operation, reason: "mmap gave no address")
    }
    unsafe start = place
    // Bits 0, 1, 5, 6: present, writable, accessed, dirty; 7: a page of 2 MiB.
    let table: UInt64 = 0x23
    let page: UInt64 = 0xE3
    let first = address.rawValue + 19 << 12
    store((address.rawValue + 18 << 12) | table, at: 17 << 12)
    for number in 0..<tables {
      store((first + number << 12) | table, at: 18 << 12 + number * 8)
      for entry in 0..<UInt64(512) {
        store((number << 30 + entry << 21) | page, at: (19 + number) << 12 + entry * 8)
      }
    }
  }

  deinit {
    _ = unsafe hf_kvm_unmap(start, Int(size.rawValue))
  }

  private func store(_ value: UInt64, at offset: UInt64) {
    precondition(offset < size.rawValue, "outside of the control memory")
    unsafe hf_kvm_store(start + Int(offset), value)
  }

  private func load(_ offset: UInt64) -> UInt64 {
    precondition(offset < size.rawValue, "outside of the control memory")
    return unsafe hf_kvm_load(start + Int(offset))
  }

  /// Copies a program's code to page 0, while no guest runs.
  func load(_ program: GuestProgram) {
    precondition(program.code.count <= 4096, "a program of more than a page")
    for (offset, byte) in program.code.enumerated() {
      unsafe start.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
    }
  }

  // MARK: A processor's words

  private func line(_ processor: Int) -> UInt64 { 1 << 12 + UInt64(processor) * 64 }

  func words(of processor: Int) -> Address { address + ByteCount(line(processor)) }

  func reset(_ processor: Int) {
    for word in UInt64(0)..<3 { store(0, at: line(processor) + word * 8) }
  }

  func stop(_ processor: Int) { store(1, at: line(processor)) }
  func passes(_ processor: Int) -> UInt64 { load(line(processor) + 8) }
  func wrong(_ processor: Int) -> UInt64 { load(line(processor) + 16) }
}
