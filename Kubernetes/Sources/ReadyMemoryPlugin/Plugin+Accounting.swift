internal import DevicePluginWire
internal import HoldfastCore
internal import HoldfastReservoir

/// The kubelet's accounting against the reservoirs'.
extension Plugin {
  /// Compares the accounting at the end of a round, and publishes what it has seen.
  ///
  /// - Parameter inUse: the devices in use; nil where the kubelet does not say.
  mutating func compare(_ inUse: PodResources?) {
    let now = ContinuousClock.now
    let balances = balances
    var present: Set<AccountingDifference> = []
    // Half of the sums would say nothing.
    if reservoirs.allSatisfy(\.isReached) {
      for balance in balances { present.formUnion(balance.differences) }
    }
    for reservoir in reservoirs {
      if reservoir.isReached {
        present.formUnion(reservoir.ended.map { .leaseWithoutPod($0.text) })
      } else {
        present.insert(.noAnswer(of: "the service at \(reservoir.link.socketPath)"))
      }
    }
    if let inUse {
      present.formUnion(devicesWithoutLease(inUse))
    } else {
      present.insert(.noAnswer(of: "the kubelet at \(options.podResources)"))
    }
    let lasting = comparison.observe(present, at: now)
    let line = AccountingComparison.line(lasting, balances)
    if lasting != differences {
      differences = lasting
      PluginLog.write("the accounting \(line.map { "differs: \($0)" } ?? "agrees again")")
    }
    if inUse != nil { kubeletAnswered = now }
    report.publish(
      PluginReading(
        started: started, ended: now, resources: resourceReadings(inUse),
        reservoirs: reservoirs.map(\.reading), balances: balances,
        kubeletAnswered: kubeletAnswered, differences: lasting, line: line))
  }

  /// The memory by page size, of all limits and all reservoirs on hugetlbfs.
  private var balances: [MemoryBalance] {
    var found: [UInt64: MemoryBalance] = [:]
    for (pageSize, limit) in options.limits {
      found[pageSize] = MemoryBalance(pageSize: pageSize, limit: limit)
    }
    for reservoir in reservoirs {
      guard let status = reservoir.status else { continue }
      let pageSize = status.pageSize.rawValue
      var balance =
        found[pageSize]
        ?? MemoryBalance(
          pageSize: pageSize, limit: status.isHugetlb && !options.limits.isEmpty ? 0 : nil)
      reservoir.add(to: &balance)
      found[pageSize] = balance
    }
    return found.values.sorted { $0.pageSize < $1.pageSize }
  }

  private func devicesWithoutLease(_ inUse: PodResources) -> [AccountingDifference] {
    let leases = reservoirs.reduce(into: Set<PodResources.DeviceInUse>()) { leases, reservoir in
      leases.formUnion(reservoir.leases.map(\.deviceInUse))
    }
    // Of a reservoir that is not reached, nothing is known.
    let unknown = Set(reservoirs.filter { !$0.isReached }.flatMap(\.resources).map(\.fullName))
    let areAllReached = reservoirs.allSatisfy(\.isReached)
    let known = Set(reservoirs.flatMap(\.resources).map(\.fullName))
    return inUse.devices.compactMap { device in
      guard device.resourceName.hasPrefix(Resource.domain + "/"), !leases.contains(device),
        !unknown.contains(device.resourceName),
        areAllReached || known.contains(device.resourceName)
      else { return nil }
      return .deviceWithoutLease(resource: device.resourceName, device: device.id)
    }
  }

  private func resourceReadings(_ inUse: PodResources?) -> [PluginReading.ResourceReading] {
    var used: [String: Int] = [:]
    for device in inUse?.devices ?? [] { used[device.resourceName, default: 0] += 1 }
    return offers.sorted { $0.key < $1.key }.map { resource, offer in
      let devices = offer.service.deviceCounts
      let leased = Set(
        reservoirs[offer.reservoir].leases.filter { $0.resource == resource.name }.map(\.device))
      return PluginReading.ResourceReading(
        name: resource.fullName, devices: devices.all, healthy: devices.healthy,
        leased: leased.count, inUse: inUse.map { _ in used[resource.fullName] ?? 0 },
        isRegistered: offer.isRegistered, allocations: offer.service.counts)
    }
  }
}

extension LeaseTag {
  /// The lease's device as the kubelet lists it.
  var deviceInUse: PodResources.DeviceInUse {
    .init(resourceName: "\(Resource.domain)/\(resource)", id: device.text)
  }
}
