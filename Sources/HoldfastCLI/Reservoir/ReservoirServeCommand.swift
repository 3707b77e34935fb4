internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastService
internal import Logging

/// `holdfast reservoir serve`.
struct ReservoirServeCommand: ParsableCommand, WritesNoResults {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Keep the reservoir filled, collect orphans and serve other users.",
    usage: "holdfast reservoir serve [--config <file>] [--check] [--verbose]",
    discussion: """
      The service runs `fill` and `gc` when they are due, and leases memory to members of the \
      reservoir's group, for which it must run as root. The owner and root lease without it. It \
      may be killed at any moment; leases stay. A second service does no harm: fills wait for each \
      other and count again.

      SIGHUP reloads the configuration; if it has errors, the service reports them and keeps the \
      old one. SIGTERM and SIGINT stop the service within two seconds. It ends with an error if \
      the path of the mount leads to other folders than at the start. Under systemd the service \
      reports its state (Type=notify) and feeds the watchdog (WatchdogSec).
      """)

  @Option(
    help: ArgumentHelp(
      "The configuration file.", valueName: "file"))
  var config = "/etc/holdfast/reservoir.conf"

  @Flag(help: "Check the configuration, report errors in it, and exit.")
  var check = false

  @Flag(help: "Log more, including repeated failures.")
  var verbose = false

  func run() throws {
    _ = try ZeroingChoice.environment()
    let level: Logger.Level = verbose ? .debug : .info
    let logger = Logger(label: "holdfast") { _ in StandardErrorLog(level: level) }
    let service = try ReservoirService(configuration: absolute(config), logger: logger)
    if check {
      try StandardStreams.checkOutput()
      try service.check()
      try Output.write("\(config): no errors\n".printableLines)
      return
    }
    try service.run()
  }
}
