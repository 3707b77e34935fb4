internal import HoldfastLinux
internal import ServiceLifecycle

/// A service of the group with a thread of its own, since its work blocks.
struct ThreadService: Service {
  let name: String
  let body: @Sendable () -> Void
  let stop: @Sendable () -> Void

  /// How long the work may take after it was told to stop. Then the process ends as if it had been
  /// killed, which the reservoir allows at any time.
  private static let timeout = Duration.milliseconds(1500)

  func run() async throws {
    let (end, signal) = AsyncStream<Void>.makeStream()
    let thread = try BackgroundThread(name) {
      body()
      signal.finish()
    }
    thread.detach()
    await withTaskCancellationOrGracefulShutdownHandler {
      // A cancelled task would not wait for the stream.
      await Task { for await _ in end {} }.value
    } onCancelOrGracefulShutdown: {
      stop()
      Task {
        try? await Task.sleep(for: ThreadService.timeout)
        signal.finish()
      }
    }
  }
}
