internal import CHoldfast
internal import HoldfastCore

/// A progress function of the caller's, called by one thread at a time.
///
/// SAFETY: the header demands that the function may be called from any thread and that its context
/// lives through the call. Both are passed to the function alone.
@safe
final class Progress: @unchecked Sendable {
  private let function: @convention(c) (UnsafeMutableRawPointer?, UInt64, UInt64) -> Void
  private let context: UnsafeMutableRawPointer?
  private let turn = Lock()

  /// Nil without a function.
  init?(_ function: holdfast_progress?, _ context: UnsafeMutableRawPointer?) {
    guard let function = unsafe function else { return nil }
    unsafe self.function = function
    unsafe self.context = context
  }

  /// The function for calls of the library that tell what is done of all.
  var reporter: @Sendable (ByteCount, ByteCount) -> Void { { self.report($0, of: $1) } }

  /// The same for calls that tell what is done alone.
  func reporter(of total: ByteCount) -> @Sendable (ByteCount) -> Void {
    { self.report($0, of: total) }
  }

  private func report(_ done: ByteCount, of total: ByteCount) {
    turn.withLock { unsafe function(context, done.rawValue, total.rawValue) }
  }
}
