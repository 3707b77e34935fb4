internal import CHoldfast
internal import Glibc
internal import HoldfastCore

// What all functions do with what a caller in C gives them. SAFETY, for the whole target: a pointer
// that is not null points to as much as the header says, for the time of the call. That is the
// caller's part of the contract and cannot be checked; everything else is.

/// Runs a call of the interface, and keeps its error for `holdfast_error_message`.
func perform(_ body: () throws(ABIError) -> Void) -> holdfast_status {
  // In a child, threads that are gone may have left locks of Swift's runtime taken.
  if hf_abi_is_child() != 0 { return hf_abi_fail_in_child() }
  if hf_abi_is_forked_thread() == 0 { return attempt(body) }
  return withoutActuallyEscaping(body) { body in
    let call = ForkedCall(body)
    // SAFETY: `call` lives until the thread has ended.
    let problem = unsafe hf_abi_call_elsewhere(
      { context in
        guard let context = unsafe context else { return }
        unsafe Unmanaged<ForkedCall>.fromOpaque(context).takeUnretainedValue().run()
      }, Unmanaged.passUnretained(call).toOpaque())
    // Not here without one: this thread could wait for a lock of Swift's runtime for ever.
    return withExtendedLifetime(call) {
      problem == 0 ? call.status : hf_abi_fail_without_thread(problem)
    }
  }
}

/// A call that another thread makes for the one that waits for it; see `hf_abi_is_forked_thread`.
private final class ForkedCall {
  private let body: () throws(ABIError) -> Void
  private(set) var status = holdfast_status(HOLDFAST_OK)

  init(_ body: @escaping () throws(ABIError) -> Void) { self.body = body }

  func run() { status = attempt(body) }
}

private func attempt(_ body: () throws(ABIError) -> Void) -> holdfast_status {
  do throws(ABIError) {
    try body()
    return holdfast_status(HOLDFAST_OK)
  } catch {
    unsafe hf_abi_set_error(error.message, error.details.text)
    return error.status
  }
}

/// Runs a call of the library.
func lift<Result>(
  _ body: () throws(HoldfastError) -> Result
) throws(ABIError) -> Result {
  do throws(HoldfastError) {
    return try body()
  } catch {
    throw .failed(error)
  }
}

// MARK: Structures that begin with their size

/// The largest structure that is believed, in bytes.
private let largestStructure: UInt64 = 1 << 16

/// Copies a structure in, of which the caller may know fewer or more members. Those that he does
/// not know are zero.
func load<Structure: BitwiseCopyable>(
  _ pointer: UnsafePointer<Structure>?, _ zero: Structure, _ name: String
) throws(ABIError) -> Structure {
  guard let pointer = unsafe pointer else { throw .invalidArgument("\(name) is null") }
  let bytes = unsafe UnsafeRawPointer(pointer)
  let size = try structureSize(unsafe bytes.loadUnaligned(as: UInt64.self), name)
  let known = min(size, MemoryLayout<Structure>.size)
  for offset in known..<max(known, size) {
    guard unsafe bytes.load(fromByteOffset: offset, as: UInt8.self) == 0 else {
      throw .invalidArgument("\(name) sets a member that this version does not have")
    }
  }
  var structure = zero
  unsafe withUnsafeMutableBytes(of: &structure) { buffer in
    unsafe buffer.copyMemory(from: UnsafeRawBufferPointer(start: bytes, count: known))
  }
  return structure
}

private func structureSize(_ size: UInt64, _ name: String) throws(ABIError) -> Int {
  guard (8...largestStructure).contains(size) else {
    throw .invalidArgument(
      "struct_size of \(name) is \(size), not the size of the structure in bytes")
  }
  return Int(size)
}

/// Where a call stores its result, checked before the work.
@safe
struct Output<Value> {
  private let pointer: UnsafeMutablePointer<Value>

  init(_ pointer: UnsafeMutablePointer<Value>?, _ name: String) throws(ABIError) {
    guard let pointer = unsafe pointer else { throw .invalidArgument("\(name) is null") }
    unsafe self.pointer = pointer
  }

  func store(_ value: Value) { unsafe pointer.pointee = value }
}

/// A structure of the caller's that a call fills in, checked before the work.
@safe
struct OutputStructure<Structure: BitwiseCopyable> {
  private let bytes: UnsafeMutableRawPointer
  private let size: Int

  init(_ pointer: UnsafeMutablePointer<Structure>?, _ name: String) throws(ABIError) {
    guard let pointer = unsafe pointer else { throw .invalidArgument("\(name) is null") }
    unsafe bytes = UnsafeMutableRawPointer(pointer)
    size = try structureSize(unsafe bytes.loadUnaligned(as: UInt64.self), name)
  }

  /// Stores the members that the caller knows, and zeros in those that this version does not have.
  /// The first member, the size, stays.
  func store(_ structure: Structure) {
    let known = min(size, MemoryLayout<Structure>.size)
    unsafe withUnsafeBytes(of: structure) { from in
      for offset in 8..<max(8, known) {
        unsafe bytes.storeBytes(of: from[offset], toByteOffset: offset, as: UInt8.self)
      }
    }
    for offset in max(8, known)..<max(8, known, size) {
      unsafe bytes.storeBytes(of: 0, toByteOffset: offset, as: UInt8.self)
    }
  }
}

// MARK: Texts

/// A text that the caller gave.
func text(_ pointer: UnsafePointer<CChar>?, _ name: String) throws(ABIError) -> String {
  guard let found = try unsafe optionalText(pointer, name) else {
    throw .invalidArgument("\(name) is null")
  }
  return found
}

/// A text that may be null.
func optionalText(
  _ pointer: UnsafePointer<CChar>?, _ name: String
) throws(ABIError) -> String? {
  guard let pointer = unsafe pointer else { return nil }
  guard let text = unsafe String(validatingCString: pointer) else {
    throw .invalidArgument("\(name) is not UTF-8")
  }
  return text
}

/// A pointer to where a text goes.
typealias TextPointer = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

/// Stores a copy of a text, which the caller frees.
func store(_ text: String, _ output: Output<UnsafeMutablePointer<CChar>?>) throws(ABIError) {
  guard let copy = unsafe strdup(text) else {
    throw .failed(
      HoldfastError(
        .resourceShortage, operation: "store a text", reason: "no memory is left", errno: ENOMEM))
  }
  unsafe output.store(copy)
}

/// The text of a value as JSON. Where a type leaves out keys without a value, so does it.
func json(_ value: some Encodable) throws(ABIError) -> String {
  do {
    return try JSONValue(encoding: value).text
  } catch {
    throw .failed(
      HoldfastError(.host, operation: "write JSON", reason: "a value has no JSON: \(error)"))
  }
}

// MARK: Values

/// A range of guest addresses.
func range(_ address: UInt64, _ length: UInt64) throws(ABIError) -> AddressRange {
  guard let range = AddressRange(start: Address(address), length: ByteCount(length)) else {
    throw .invalidArgument("the range of \(length) bytes at \(address) ends beyond 2^64")
  }
  return range
}

/// The accesses of bits.
func protection(_ bits: UInt32, _ name: String) throws(ABIError) -> Protection {
  guard bits & ~7 == 0 else {
    throw .invalidArgument("\(name) has bits other than read, write and execute")
  }
  return Protection(rawValue: UInt8(bits))
}

/// The node of a number that is one larger, 0 for any.
func node(_ number: UInt64) throws(ABIError) -> NodeID? {
  if number == 0 { return nil }
  guard let id = UInt32(exactly: number - 1) else {
    throw .invalidArgument("there is no node \(number - 1)")
  }
  return NodeID(id)
}

extension Duration {
  /// The duration in whole nanoseconds, at most 2^64 - 1.
  var nanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    let whole = UInt64(clamping: seconds).multipliedReportingOverflow(by: 1_000_000_000)
    let sum = whole.partialValue.addingReportingOverflow(
      UInt64(clamping: attoseconds / 1_000_000_000))
    return whole.overflow || sum.overflow ? .max : sum.partialValue
  }
}
