internal import ArgumentParser
internal import Dispatch
internal import HoldfastLinux
internal import HoldfastService
internal import Logging

/// `holdfast reservoir serve`.
struct ReservoirServeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Keep levels filled and collect orphans, as a service.",
    usage: "holdfast reservoir serve [--config <file>] [--check] [--verbose]",
    discussion: """
      Nobody needs the service to lease: it only does in time what `fill` and `gc` do. It may be \
      killed at any moment, and two of them do no harm: fills wait for each other and count anew.

      SIGHUP has the configuration read again; one with errors is reported, and the old one stays. \
      SIGTERM and SIGINT end it within two seconds. Under systemd it tells its state (Type=notify) \
      and gives signs of life (WatchdogSec).
      """)

  @Option(
    help: ArgumentHelp(
      "What to keep ready, and how. (default: /etc/holdfast/reservoir.conf)", valueName: "file"))
  var config = "/etc/holdfast/reservoir.conf"

  @Flag(help: "Only read the configuration, and say what is wrong with it.")
  var check = false

  @Flag(help: "Tell more of what is done, also failures that come again.")
  var verbose = false

  func run() throws {
    _ = try ZeroingChoice.environment()
    let level: Logger.Level = verbose ? .debug : .info
    let logger = Logger(label: "holdfast") { _ in StandardErrorLog(level: level) }
    let service = try ReservoirService(configuration: absolute(config), logger: logger)
    if check {
      try Output.write("\(config): no errors\n")
      return
    }
    let end = End()
    // Else it has the main thread's priority, whose threads take a nice value below zero where they may, and
    // what they start inherits that.
    Task(priority: .medium) {
      do { try await service.run() } catch { end.set(error) }
      end.signal()
    }
    try end.wait()
  }
}

/// The end of the service, for the thread that waits for it.
private final class End: Sendable {
  private let semaphore = DispatchSemaphore(value: 0)
  private nonisolated(unsafe) var error: (any Error)?

  func set(_ error: any Error) { unsafe self.error = error }

  func signal() { semaphore.signal() }

  func wait() throws {
    semaphore.wait()
    if let error = unsafe error { throw error }
  }
}
