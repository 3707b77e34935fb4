internal import Synchronization

/// The objects that callers in C have handles of.
///
/// A handle is the number of its object, counted from a random start, shifted by 8, and the kind in
/// the low bits. So no number is used again (2^55 calls take a millennium), handles of
/// different kinds differ, and small numbers, such as a caller makes up, are no handles.
///
/// The table has one reference to an object and each call that uses it another one, so closing a
/// handle lets running calls end.
final class HandleTable: Sendable {
  /// What a handle is of.
  enum Kind: UInt64, Sendable {
    case token = 1
    case arena, guest, segment, receipt, hold, lease
  }

  private struct State {
    var objects: [UInt64: any Sendable] = [:]
    var next: UInt64
  }

  private let state = Mutex(State(next: UInt64.random(in: 1 << 32..<1 << 40)))

  /// The table of the process.
  static let shared = HandleTable()

  /// Gives an object a handle.
  func insert(_ object: some Sendable, _ kind: Kind) -> UInt64 {
    state.withLock { state in
      state.next += 1
      let handle = state.next << 8 | kind.rawValue
      state.objects[handle] = object
      return handle
    }
  }

  /// The object of a handle.
  ///
  /// - Throws: `ABIError.invalidHandle` for 0, a closed handle, one of another kind and any other
  ///   number.
  func object<Object>(_ handle: UInt64, _ kind: Kind, as type: Object.Type) throws(ABIError)
    -> Object
  {
    guard handle & 0xFF == kind.rawValue,
      let object = state.withLock({ $0.objects[handle] }) as? Object
    else { throw .invalidHandle("the \(kind) handle \(handle) is not open") }
    return object
  }

  /// Takes an object out. The caller drops it without the table's lock, since its end may take long.
  func remove(_ handle: UInt64, _ kind: Kind) throws(ABIError) -> any Sendable {
    guard handle & 0xFF == kind.rawValue,
      let object = state.withLock({ $0.objects.removeValue(forKey: handle) })
    else { throw .invalidHandle("the \(kind) handle \(handle) is not open") }
    return object
  }
}
