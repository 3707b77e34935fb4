package import PlainHTTP

/// What the plugin is told at its start.
package struct PluginOptions: Hashable, Sendable {
  /// The sockets of reservoirs' services.
  package var sockets = ["/run/holdfast/reservoir.sock"]
  /// The folder of the kubelet's and the plugins' sockets.
  package var folder = "/var/lib/kubelet/device-plugins"
  /// The socket at which the kubelet lists the devices in use.
  package var podResources = "/var/lib/kubelet/pod-resources/kubelet.sock"
  /// The user and group that leases are made as.
  package var user: ThreadUser?
  package var lease = LeaseOptions(wait: .seconds(1), mode: 0o666)
  /// How long a pod may take from its admission to the kubelet's list.
  package var grace = Duration.seconds(60)
  /// The time between two looks at the kubelet and the reservoirs.
  package var interval = Duration.seconds(1)
  /// Where the plugin serves its metrics; nil for nowhere.
  package var metrics: HTTPAddress?
  /// The ports of the services' own metrics, in the order of ``sockets``.
  package var serviceMetrics: [HTTPAddress] = []
  /// The limits of huge pages by page size, in bytes. Where there is one, a page size without one
  /// has the limit 0.
  package var limits: [UInt64: UInt64] = [:]
  /// How long a difference in the accounting lasts until it counts.
  package var settle = Duration.seconds(10)

  package init() {}
}
