extension PluginReading {
  /// The reading and the services' own metrics, in Prometheus's format.
  func metrics(at now: ContinuousClock.Instant) -> String {
    var text = MetricsText()
    addResources(&text)
    addAccounting(&text)
    addAnswers(&text, now)
    text.append(
      ServiceMetrics.text(
        reservoirs.compactMap { reservoir in
          reservoir.metrics.flatMap { source in
            source.isUp ? source.metrics.map { (source.path, $0) } : nil
          }
        }))
    return text.text
  }

  private func addResources(_ text: inout MetricsText) {
    func each(
      _ name: String, _ help: String, _ value: (ResourceReading) -> Int?
    ) {
      text.family(name, .gauge, help)
      for resource in resources {
        if let value = value(resource) { text.sample(["resource": resource.name], value) }
      }
    }
    each("devices", "Devices that the kubelet knows.") { $0.devices }
    each("healthy_devices", "Devices that a pod may get.") { $0.healthy }
    each("leased_devices", "Devices whose memory is leased.") { $0.leased }
    each("devices_in_use", "Devices that the kubelet lists for containers.") { $0.inUse }
    each("registered", "Whether the kubelet has registered the resource.") {
      $0.isRegistered ? 1 : 0
    }
    text.family("allocations_total", .counter, "Allocations that the kubelet has asked for.")
    for resource in resources {
      text.sample(
        ["resource": resource.name, "result": "ok"], resource.allocations.succeeded)
      text.sample(
        ["resource": resource.name, "result": "failed"], resource.allocations.failed)
    }
  }

  private func addAccounting(_ text: inout MetricsText) {
    func each(
      _ name: String, _ help: String,
      _ value: (MemoryBalance) -> (some CustomStringConvertible)?
    ) {
      text.family(name, .gauge, help)
      for balance in balances {
        if let value = value(balance) {
          text.sample(["page_bytes": "\(balance.pageSize)"], value)
        }
      }
    }
    each("limit_bytes", "The limit of huge pages of the service's container.") { $0.limit }
    each("held_bytes", "Memory of reservoirs: ready, leased and being filled.") { $0.held }
    each("levels_bytes", "Memory that the levels want to be ready.") { $0.levels }
    each("difference_bytes", "The limit less the memory of reservoirs.") { $0.difference }
    text.family(
      "devices_without_lease", .gauge, "Devices of pods whose lease is gone, for some time.")
    text.sample(
      differences.count { if case .deviceWithoutLease = $0 { true } else { false } })
    text.family(
      "leases_without_pod", .gauge, "Leases of no pod that cannot be released, for some time.")
    text.sample(differences.count { if case .leaseWithoutPod = $0 { true } else { false } })
    text.family(
      "accounting_agrees", .gauge, "Whether the kubelet's and the reservoirs' accounting agrees.")
    text.sample(line == nil ? 1 : 0)
  }

  private func addAnswers(_ text: inout MetricsText, _ now: ContinuousClock.Instant) {
    func seconds(_ answered: ContinuousClock.Instant?) -> Double {
      let age = (now - (answered ?? started)).components
      return Double(age.seconds) + Double(age.attoseconds / 1_000_000_000_000_000) / 1000
    }
    text.family(
      "kubelet_answer_age_seconds", .gauge,
      "Time since the kubelet has listed its devices, or since the plugin's start.")
    text.sample(seconds(kubeletAnswered))
    text.family(
      "service_answer_age_seconds", .gauge,
      "Time since a reservoir's service has answered, or since the plugin's start.")
    for reservoir in reservoirs {
      text.sample(["socket": reservoir.socket], seconds(reservoir.answered))
    }
    text.family(
      "service_metrics_up", .gauge,
      "Whether the service's own metrics, holdfast_reservoir_*, are here too.")
    for reservoir in reservoirs {
      if let source = reservoir.metrics {
        text.sample(["socket": reservoir.socket], source.isUp ? 1 : 0)
      }
    }
  }
}
