internal import HoldfastCore
internal import Logging

extension Reconciler {
  /// Reads the configuration again. One with errors changes nothing but the status.
  func reload(_ file: String) {
    notifications.reloading()
    var problem: String?
    do throws(HoldfastError) {
      let next = try ServiceConfiguration(file: file)
      if let obstacle = configuration.obstacle(to: next) {
        problem = "\(file): \(obstacle)"
      } else {
        change(to: next)
      }
    } catch {
      problem = error.description
    }
    reloadProblem.with { $0 = problem.map { "the old configuration remains: \($0)" } }
    if let problem {
      metrics.with { $0.fail("reload", "configuration") }
      logger.error("the old configuration remains: \(problem)")
    } else {
      metrics.with { $0.succeed("reload") }
      logger.notice("\(file) was read again")
    }
    notifications.ready(
      problem.map { "the old configuration remains: \($0)" } ?? "reloaded")
  }
}
