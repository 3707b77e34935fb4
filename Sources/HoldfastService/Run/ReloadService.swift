internal import HoldfastCore
internal import Logging
internal import ServiceLifecycle
internal import UnixSignals

/// Reads the configuration again on a signal.
struct ReloadService: Service {
  let signals: UnixSignalsSequence
  let file: String
  let reconciler: Reconciler

  func run() async throws {
    for await _ in signals.cancelOnGracefulShutdown() { reload() }
  }

  private func reload() {
    reconciler.notifications.reloading()
    var problem: String?
    do throws(HoldfastError) {
      let next = try ServiceConfiguration(file: file)
      if let obstacle = reconciler.configuration.obstacle(to: next) {
        problem = "\(file): \(obstacle)"
      } else {
        reconciler.change(to: next)
      }
    } catch {
      problem = error.description
    }
    reconciler.reloadProblem.with { $0 = problem.map { "the old configuration remains: \($0)" } }
    if let problem {
      reconciler.metrics.with { $0.fail("reload", "configuration") }
      reconciler.logger.error("the old configuration remains: \(problem)")
    } else {
      reconciler.metrics.with { $0.succeed("reload") }
      reconciler.logger.notice("\(file) was read again")
    }
    reconciler.notifications.ready(
      problem.map { "the old configuration remains: \($0)" } ?? "reloaded")
  }
}
