internal import DevicePluginWire
internal import HoldfastCore
internal import HoldfastReservoir

/// A reservoir of the node, as it was in the last round.
struct NodeReservoir {
  let link: ReservoirLink
  var sightings: LeaseSightings
  /// What the service said last, and whether that was in the last round.
  private var status: ReservoirStatus?
  private var isReached = false
  private var leases: Set<LeaseTag> = []
  private var ended: Set<LeaseTag> = []
  /// All that it has had since the plugin's start.
  private(set) var resources: Set<Resource> = []

  init(_ link: ReservoirLink, grace: Duration) {
    self.link = link
    sightings = LeaseSightings(grace: grace)
  }

  /// Asks the service for what the reservoir has.
  mutating func read(_ log: inout PluginLog) async {
    switch await link.status() {
    case .failure(let error):
      isReached = false
      log.note(link.socketPath, "free devices are unhealthy: \(error)")
    case .success(let status):
      isReached = true
      log.note(link.socketPath, warning(status))
      self.status = status
      leases = Set(status.leases.compactMap { LeaseTag($0.name) })
      let page = status.pageSize.rawValue
      let sizes = Set(status.rows.map(\.size) + status.leases.map(\.size))
      resources.formUnion(sizes.map { Resource(pageSize: page, size: $0.rawValue) })
    }
  }

  private func warning(_ status: ReservoirStatus) -> String? {
    if status.leases.count >= DeviceBook.mostDevices {
      return "\(link.socketPath): only \(DeviceBook.mostDevices) leases can be seen at a time"
    }
    guard let group = status.group else { return nil }
    return "\(status.path) has the group \(group), whose members can open the memory of pods by "
      + "its path: create the reservoir without a group"
  }

  /// Releases the leases that have ended. `inUse` is of after ``read(_:)``.
  mutating func collect(_ inUse: PodResources, _ log: inout PluginLog) async {
    guard isReached else { return }
    let now = ContinuousClock.now
    ended = sightings.observe(
      leases: leases,
      isInUse: {
        inUse.devices.contains(
          .init(resourceName: "\(Resource.domain)/\($0.resource)", id: $0.device.text))
      }, at: now)
    for tag in ended.sorted(by: { $0.generation < $1.generation })
    where sightings.mayRelease(tag, at: now) {
      switch await link.release(tag) {
      case .success:
        // Its memory is the host's again; the device lasts until the next status.
        PluginLog.write("\(tag.text) is released")
      case .failure(let error):
        if error.code != .noLease { sightings.wasRefused(tag, at: .now) }
        log.note(tag.text, error.code == .busy ? "\(tag.text) is in use yet" : "\(error)")
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
    return DeviceBook.devices(
      ready: ready, leased: leased, others: leases.count - leased.count,
      canLease: isReached && failure == nil)
  }
}
