import Foundation
import HoldfastCore
import HoldfastLinux

/// What tests of the program need of the host. With CI=true root's tests run whatever is missing,
/// and fail then.
enum Needs {
  private static let isRoot = geteuid() == 0
  private static let isStrict = ProcessInfo.processInfo.environment["CI"] == "true"

  /// Root may raise the pool of 2 MiB pages: not in a container whose /sys is read-only.
  static var canReserve: Bool {
    isRoot && (isStrict || access(HugePagePool(size: .mebibytes(2)).path, W_OK) == 0)
  }

  /// Root may run a program as nobody.
  static var canChangeUser: Bool {
    let tools = ["/sbin/runuser", "/usr/sbin/runuser"]
    return isRoot && getpwnam("nobody") != nil && tools.contains { access($0, X_OK) == 0 }
  }
}
