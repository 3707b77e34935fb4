internal import Synchronization

/// A request to cancel work, shared by the thread that works and the thread that cancels.
///
/// A call that takes a token checks it between its steps, and ends soon after ``cancel()``. It
/// throws ``HoldfastError`` with the code `cancelled`, unless its documentation says that it returns
/// what it has done. Calls of Holdfast block their thread; a task can pass its cancellation on:
///
///     let token = CancellationToken()
///     try await withTaskCancellationHandler {
///       try reservoir.lease(request, cancellation: token)
///     } onCancel: {
///       token.cancel()
///     }
///
/// A token cannot be reset. It is safe to use from any thread and takes no lock, so that a signal
/// handler may cancel it too.
public final class CancellationToken: Sendable {
  private let flag = Atomic<Bool>(false)

  /// Creates a token that is not cancelled.
  public init() {}

  /// Asks all work that has this token to end. Does not wait for it; repeating it does nothing.
  public func cancel() { flag.store(true, ordering: .relaxed) }

  /// Whether ``cancel()`` has been called.
  public var isCancelled: Bool { flag.load(ordering: .relaxed) }
}
