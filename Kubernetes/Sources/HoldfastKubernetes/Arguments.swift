internal import Glibc
internal import PlainHTTP
internal import ReadyMemoryPlugin

/// The program's arguments.
enum Arguments {
  /// Why the arguments are not the program's.
  struct Problem: Error {
    var reason: String
  }

  /// The version of the project, which `holdfast --version` has too.
  static let version = "0.2.0-dev"

  static let help = """
    usage: holdfast-kubernetes [OPTION VALUE]...
           holdfast-kubernetes --check-accounting ADDRESS:PORT

    Offers ready memory of reservoirs to the kubelet, as resources such as
    holdfast.dev/ready-2m-2gi. It runs as root.

      --user UID:GID       the user and group that leases are made as; not root,
                           nor the reservoir's owner. Required for root
      --socket PATH        the socket of a reservoir's service; several times for
                           several reservoirs (/run/holdfast/reservoir.sock)
      --folder PATH        the kubelet's folder of sockets
                           (/var/lib/kubelet/device-plugins)
      --pod-resources PATH the socket of the kubelet's list of devices in use
                           (/var/lib/kubelet/pod-resources/kubelet.sock)
      --wait MILLISECONDS  how long an allocation waits for memory to become ready
                           (1000)
      --grace SECONDS      how long a pod may take from its admission until the
                           kubelet lists it; the memory of one that does not start
                           is released after it (60)
      --interval MILLISECONDS
                           the time between two looks at the kubelet and the
                           service (1000)
      --mode MODE          the mode of the files in pods, octal (0666)
      --metrics ADDRESS:PORT
                           serves /metrics for Prometheus, /healthz and /accounting
      --service-metrics ADDRESS:PORT
                           'listen' of [metrics] of the reservoir's service, on
                           loopback, whose metrics /metrics has too; several times,
                           in the order of the sockets
      --limit PAGE=BYTES   the limit of huge pages of the service's container, which
                           the kubelet counts as used, such as 2M=8589934592;
                           several times for several page sizes
      --settle SECONDS     how long the accounting of the kubelet differs from that
                           of the reservoirs until that counts (10)
      --check-accounting ADDRESS:PORT
                           asks the plugin with these --metrics whether the
                           accounting agrees. If not, it prints a line and ends
                           with status 1
      --help               prints this
      --version            prints the version
    """

  static func read(
    _ arguments: [String], into options: inout PluginOptions
  ) throws(Problem) {
    var sockets: [String] = []
    var left = arguments[...]
    while let name = left.popFirst() {
      guard name.hasPrefix("--") else { throw Problem(reason: "unknown argument '\(name)'") }
      guard let value = left.popFirst() else { throw Problem(reason: "\(name) has no value") }
      func number(_ most: Int64, radix: Int = 10) throws(Problem) -> Int64 {
        guard let number = Int64(value, radix: radix), (0...most).contains(number) else {
          throw Problem(reason: "\(name) \(value): not a number of at most \(most)")
        }
        return number
      }
      func path() throws(Problem) -> String {
        guard value.hasPrefix("/") else {
          throw Problem(reason: "\(name) \(value): not an absolute path")
        }
        return value
      }
      switch name {
      case "--user": options.user = try user(value)
      case "--socket": sockets.append(try path())
      case "--folder": options.folder = try path()
      case "--pod-resources": options.podResources = try path()
      case "--wait": options.lease.wait = .milliseconds(try number(60_000))
      case "--grace": options.grace = .seconds(try number(86_400))
      case "--interval": options.interval = .milliseconds(max(10, try number(60_000)))
      case "--metrics": options.metrics = try address(name, value)
      case "--service-metrics":
        let address = try address(name, value)
        guard address.isLoopback else {
          throw Problem(reason: "\(name) \(value): the service listens only on loopback")
        }
        options.serviceMetrics.append(address)
      case "--limit":
        let (page, bytes) = try limit(value)
        guard options.limits.updateValue(bytes, forKey: page) == nil else {
          throw Problem(reason: "\(name) \(value): this page size has a limit already")
        }
      case "--settle": options.settle = .seconds(try number(86_400))
      case "--mode": options.lease.mode = UInt32(try number(0o777, radix: 8))
      default: throw Problem(reason: "unknown option \(name)")
      }
    }
    if !sockets.isEmpty { options.sockets = sockets }
    guard options.serviceMetrics.count <= options.sockets.count else {
      throw Problem(reason: "there are more --service-metrics than sockets")
    }
    guard options.user != nil || geteuid() != 0 else {
      throw Problem(
        reason: "--user is missing: for root the service would end leases that are in use")
    }
  }

  static func address(_ name: String, _ text: String) throws(Problem) -> HTTPAddress {
    guard let address = HTTPAddress(text) else {
      throw Problem(
        reason: "\(name) \(text): not an address and a port, such as 127.0.0.1:9817")
    }
    return address
  }

  /// Reads `2M=8589934592`, and also Kubernetes's units, such as `2M=8Gi`.
  private static func limit(_ text: String) throws(Problem) -> (page: UInt64, bytes: UInt64) {
    let words = text.split(separator: "=", omittingEmptySubsequences: false)
    guard words.count == 2,
      let page = bytes(words[0], ["K": 10, "M": 20, "G": 30]), page.nonzeroBitCount == 1,
      let limit = bytes(words[1], ["Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40])
    else {
      throw Problem(
        reason: "--limit \(text): use a page size and bytes, such as 2M=8589934592")
    }
    return (page, limit)
  }

  /// A number with or without a unit, of which the power of two is given.
  private static func bytes(_ text: Substring, _ units: [String: UInt64]) -> UInt64? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let unit = text.dropFirst(digits.count)
    guard let number = UInt64(digits), let shift = unit.isEmpty ? 0 : units[String(unit)],
      number <= UInt64.max >> shift
    else { return nil }
    return number << shift
  }

  private static func user(_ text: String) throws(Problem) -> ThreadUser {
    let words = text.split(separator: ":", omittingEmptySubsequences: false)
    guard words.count == 2, let user = UInt32(words[0]), let group = UInt32(words[1]),
      user != 0, user != .max, group != .max
    else {
      throw Problem(
        reason: "--user \(text): use two numbers, UID:GID; the user must not be root")
    }
    return ThreadUser(user: user, group: group)
  }
}
