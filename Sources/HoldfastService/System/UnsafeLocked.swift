internal import HoldfastCore

/// A value that threads share, protected by a lock.
@safe final class Locked<Value>: @unchecked Sendable {
  private let lock = Lock()
  /// Protected by `lock`.
  private var value: Value

  init(_ value: sending Value) {
    self.value = value
  }

  /// Calls `body` with the value, with the lock held.
  func with<Result>(_ body: (inout Value) -> Result) -> Result {
    lock.withLock { body(&value) }
  }
}
