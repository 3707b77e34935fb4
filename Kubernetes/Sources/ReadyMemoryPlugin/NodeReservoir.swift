internal import DevicePluginWire
internal import HoldfastCore
internal import HoldfastReservoir
internal import PlainHTTP

/// A reservoir of the node, as it was in the last round.
struct NodeReservoir {
  let link: ReservoirLink
  var sightings: LeaseSightings
  /// What the service said last, and whether that was in the last round.
  private(set) var status: ReservoirStatus?
  private(set) var isReached = false
  private(set) var answered: ContinuousClock.Instant?
  /// The service's own metrics, as they were read last.
  private var metrics: ServiceMetrics?
  private var areMetricsUp = false
  private var nextMetrics: ContinuousClock.Instant?
  /// What other users have leased, when the metrics were read; 0 where that is not known.
  private var leasedByOthers: UInt64 = 0
  private(set) var leases: Set<LeaseTag> = []
  /// The leases that have ended, and are not released.
  private(set) var ended: Set<LeaseTag> = []
  /// All that it has had since the plugin's start.
  private(set) var resources: Set<Resource> = []

  /// What a service answered.
  struct Answers: Sendable {
    var status: Result<ReservoirStatus, HoldfastError>
    /// nil where they were not asked for.
    var metrics: Result<ServiceMetrics, HTTPTextClient.Failure>?
  }

  init(_ link: ReservoirLink, grace: Duration) {
    self.link = link
    sightings = LeaseSightings(grace: grace)
  }

  /// Asks the service for what the reservoir has.
  ///
  /// - Parameter metrics: whether to ask for its metrics too.
  static func ask(_ link: ReservoirLink, metrics: Bool) async -> Answers {
    async let read = metrics ? link.serviceMetrics() : nil
    let status = await link.status()
    return Answers(status: status, metrics: await read)
  }

  /// Whether the service's metrics are read in a round.
  func wantsMetrics(at now: ContinuousClock.Instant) -> Bool {
    link.hasMetrics && nextMetrics.map { now >= $0 } ?? true
  }

  /// Notes what the service answered.
  ///
  /// - Parameter pause: the time until its metrics are read again: a reading costs it some
  ///   milliseconds.
  mutating func note(
    _ answers: Answers, pause: Duration, _ log: inout PluginLog
  ) {
    switch answers.status {
    case .failure(let error):
      isReached = false
      log.note(link.socketPath, "free devices are unhealthy: \(error)")
    case .success(let status):
      isReached = true
      answered = .now
      self.status = status
      log.note(link.socketPath, warning(status))
      leases = Set(status.leases.compactMap { LeaseTag($0.name) })
      ended.formIntersection(leases)
      let page = status.pageSize.rawValue
      // Not of files that are being filled, which may have any size for a moment.
      let sizes = Set(status.rows.filter { $0.ready > 0 }.map(\.size))
      resources.formUnion(sizes.map { Resource(pageSize: page, size: $0.rawValue) })
      // Nor of the sizes of leased files, which pods can change.
      resources.formUnion(
        leases.compactMap { Resource(name: $0.resource) }.filter { $0.pageSize == page })
    }
    guard let metrics = answers.metrics else { return }
    nextMetrics = .now + pause
    let subject = link.socketPath + " metrics"
    switch metrics {
    case .success(let read):
      areMetricsUp = true
      self.metrics = read
      let leased = read.leasedBytes ?? 0
      leasedByOthers = leased - min(leased, ownFileBytes)
      log.note(subject, nil)
    case .failure(let failure):
      areMetricsUp = false
      leasedByOthers = 0
      log.note(subject, "the service's metrics are left out: \(failure)")
    }
  }

  private func warning(_ status: ReservoirStatus) -> String? {
    if hasMoreLeases {
      return "\(link.socketPath): the service is of a version that names only "
        + "\(status.leases.count) leases; at most \(DeviceInventory.mostDevicesBeforePages) are devices"
    }
    guard let group = status.group else { return nil }
    return "\(status.path) has the group \(group), whose members can open the memory of pods by "
      + "its path: create the reservoir without a group"
  }

  /// Whether the service has counted leases that it does not name.
  private var hasMoreLeases: Bool {
    guard let status, status.leases.count == DeviceInventory.mostDevicesBeforePages else {
      return false
    }
    return status.rows.reduce(0) { $0 + $1.leased } > status.leases.count
  }

  /// Releases the leases that have ended. `inUse` is of after the answer of ``note(_:pause:_:)``.
  mutating func collect(_ inUse: PodResources, _ log: inout PluginLog) async {
    guard isReached else { return }
    let now = ContinuousClock.now
    ended = sightings.observe(
      leases: leases,
      isInUse: { inUse.devices.contains($0.deviceInUse) }, at: now)
    for tag in ended.sorted(by: { $0.generation < $1.generation })
    where sightings.mayRelease(tag, at: now) {
      let start = ContinuousClock.now
      switch await link.release(tag) {
      case .success:
        // Its memory is the host's again; the device lasts until the next status.
        PluginLog.write("\(tag.text) is released")
        log.note(tag.text, nil)
      case .failure(let error):
        if error.code != .noLease { sightings.wasRefused(tag, at: .now) }
        log.note(tag.text, error.code == .busy ? "\(tag.text) is in use yet" : "\(error)")
        // The service does not answer any more, and would take as long for each.
        if start.duration(to: .now) >= ReservoirLink.timeout {
          isReached = false
          return
        }
      }
    }
  }

  /// The devices of a resource.
  ///
  /// - Parameter failure: why the service does not lease, as an allocation has found out.
  func devices(of resource: Resource, failure: HoldfastError?) -> [Device] {
    var ready: [UInt32?: Int] = [:]
    for row in status?.rows ?? [] where row.size.rawValue == resource.size {
      ready[row.node?.rawValue, default: 0] += row.ready
    }
    // A device of several leases is ending as long as its last one is.
    var leased: [DeviceID: Bool] = [:]
    for tag in leases where tag.resource == resource.name {
      leased[tag.device] = (leased[tag.device] ?? true) && ended.contains(tag)
    }
    return DeviceInventory.devices(
      ready: ready, leased: leased, others: leases.count - leased.count,
      most: hasMoreLeases ? DeviceInventory.mostDevicesBeforePages : DeviceInventory.mostDevices,
      canLease: isReached && failure == nil)
  }
}

extension NodeReservoir {
  /// The sizes of the own leases' files as they are, which the service's metrics have too.
  private var ownFileBytes: UInt64 {
    (status?.leases ?? []).reduce(0) { $0.addingSaturated($1.size.rawValue) }
  }

  /// The bytes that the plugin has leased, by the names of the leases: a pod can change its file's
  /// size.
  private var ownLeased: UInt64 {
    (status?.leases ?? []).reduce(0) { sum, lease in
      let resource = LeaseTag(lease.name).flatMap { Resource(name: $0.resource) }
      return sum.addingSaturated(resource?.size ?? lease.size.rawValue)
    }
  }

  /// Adds what the reservoir holds, and what its levels want.
  func add(to balance: inout MemoryBalance) {
    for row in status?.rows ?? [] {
      func bytes(_ count: Int) -> UInt64 {
        let (product, overflow) = row.size.rawValue.multipliedReportingOverflow(
          by: UInt64(clamping: count))
        return overflow ? .max : product
      }
      balance.ready = balance.ready.addingSaturated(bytes(row.ready))
      balance.filling = balance.filling.addingSaturated(bytes(row.filling))
    }
    balance.leased = balance.leased.addingSaturated(ownLeased).addingSaturated(leasedByOthers)
    // Without the metrics of one of several reservoirs the sum is not known.
    if let levels = balance.levels, areMetricsUp, let metrics {
      balance.levels = levels.addingSaturated(metrics.levelBytes)
    } else {
      balance.levels = nil
    }
  }

  var reading: PluginReading.ReservoirReading {
    PluginReading.ReservoirReading(
      socket: link.socketPath, answered: answered, isReached: isReached,
      metrics: link.hasMetrics
        ? (path: status?.path ?? link.socketPath, isUp: areMetricsUp, metrics: metrics) : nil)
  }
}
