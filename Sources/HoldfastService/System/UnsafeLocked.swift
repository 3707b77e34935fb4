internal import HoldfastCore

/// A value that threads share, behind a lock.
@safe final class Locked<Value>: @unchecked Sendable {
  private let lock = Lock()
  /// Protected by `lock`.
  private var value: Value

  init(_ value: sending Value) {
    self.value = value
  }

  func with<Result>(_ body: (inout Value) -> Result) -> Result {
    lock.withLock { body(&value) }
  }
}
