internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir

/// The objects of one kind that callers in C have handles of.
///
/// A handle is the number of its object, counted from a random start, shifted by 8, and the kind in
/// the low bits. So no number is used again (2^55 calls take a millennium), handles of
/// different kinds differ, and small numbers, such as a caller makes up, are no handles.
///
/// The table has one reference to an object and each call that uses it another one, so closing a
/// handle lets running calls end.
final class HandleTable<Object: Sendable>: Sendable {
  private let kind: HandleKind
  private let lock = Lock()
  // Protected by `lock`.
  private nonisolated(unsafe) var objects: [UInt64: Object] = [:]
  private nonisolated(unsafe) var next = 1 << 32 | RandomID.number() >> 24
  // The object that was found last, which most monitors use again and again. It is in `objects`.
  private nonisolated(unsafe) var latest: (handle: UInt64, object: Object)?

  /// An empty table, the only one of its kind in a process.
  init(_ kind: HandleKind) { self.kind = kind }

  /// Gives an object a handle.
  func insert(_ object: Object) -> UInt64 {
    lock.withLock {
      unsafe next += 1
      let handle = unsafe next << 8 | kind.rawValue
      unsafe objects[handle] = object
      return handle
    }
  }

  /// The object of a handle.
  ///
  /// - Throws: `ABIError.invalidHandle` for 0, a closed handle, one of another kind and any other
  ///   number.
  func object(_ handle: UInt64) throws(ABIError) -> Object {
    let found = lock.withLock { () -> Object? in
      if let latest = unsafe latest, latest.handle == handle { return latest.object }
      guard let object = unsafe objects[handle] else { return nil }
      unsafe latest = (handle, object)
      return object
    }
    guard let found else { throw isNotOpen(handle) }
    return found
  }

  /// Takes an object out. The caller drops it without the table's lock, since its end may take long.
  func remove(_ handle: UInt64) throws(ABIError) -> Object {
    let removed = lock.withLock { () -> Object? in
      // Not the last reference, which is the caller's.
      if unsafe latest?.handle == handle { unsafe latest = nil }
      return unsafe objects.removeValue(forKey: handle)
    }
    guard let removed else { throw isNotOpen(handle) }
    return removed
  }

  private func isNotOpen(_ handle: UInt64) -> ABIError {
    .invalidHandle("the \(kind) handle \(handle) is not open")
  }
}

/// What a handle is of.
enum HandleKind: UInt64, Sendable {
  case token = 1
  case arena, guest, segment, receipt, hold, lease
}

/// The tables of the process; those of types that only one file has are there.
enum Handles {
  static let tokens = HandleTable<CancellationToken>(.token)
  static let arenas = HandleTable<Arena>(.arena)
  static let guests = HandleTable<GuestMemory>(.guest)
  static let receipts = HandleTable<WireReceipt>(.receipt)
  static let leases = HandleTable<Lease>(.lease)
}
