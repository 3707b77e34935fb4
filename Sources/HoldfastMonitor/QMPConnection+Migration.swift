internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux

extension QMPConnection {
  /// QEMU's version, such as `7.2.22`.
  package func version() throws(Problem) -> String {
    let answer = try execute("query-version")
    let parts = ["major", "minor", "micro"].compactMap { answer["qemu"]?[$0]?.integer }
    guard parts.count == 3 else { throw .nonsense }
    return parts.map { "\($0)" }.joined(separator: ".")
  }

  /// The state of the machine: `running`, `paused`, `inmigrate` and others.
  package func state() throws(Problem) -> String {
    guard let state = try execute("query-status")["status"]?.string else { throw .nonsense }
    return state
  }

  /// Leaves memory that is mapped shared out of what is saved and loaded (`x-ignore-shared`).
  private func ignoreSharedMemory() throws(Problem) {
    _ = try execute(
      "migrate-set-capabilities",
      [
        (
          "capabilities",
          .array([
            .object([("capability", .string("x-ignore-shared")), ("state", .bool(true))])
          ])
        )
      ])
  }

  private static let fileName = "holdfast-state"

  /// Saves the state of the devices of a machine that is stopped to an open file.
  package func saveDevices(to descriptor: Int32, timeout: Duration) throws(Problem) {
    try ignoreSharedMemory()
    _ = try execute("getfd", [("fdname", .string(Self.fileName))], descriptor: descriptor)
    _ = try execute("migrate", [("uri", .string("fd:\(Self.fileName)"))])
    try waitForMigration(timeout)
  }

  /// Loads the state of the devices from an open file into a machine that waits for it
  /// (`-incoming defer`).
  package func loadDevices(from descriptor: Int32, timeout: Duration) throws(Problem) {
    try ignoreSharedMemory()
    _ = try execute("getfd", [("fdname", .string(Self.fileName))], descriptor: descriptor)
    _ = try execute("migrate-incoming", [("uri", .string("fd:\(Self.fileName)"))])
    try waitForMigration(timeout)
  }

  /// Waits until a migration has ended, which takes some milliseconds.
  private func waitForMigration(_ timeout: Duration) throws(Problem) {
    let end = Instant.now + timeout
    while true {
      let answer = try execute("query-migrate")
      switch answer["status"]?.string {
      case "completed": return
      case "failed", "cancelled":
        throw .refused(answer["error-desc"]?.string ?? "the migration failed")
      default: break
      }
      guard Instant.now < end else { throw .late }
      usleep(500)
    }
  }
}
