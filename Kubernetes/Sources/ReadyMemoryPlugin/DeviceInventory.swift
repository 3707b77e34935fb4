package import DevicePluginWire

/// The devices of a resource, from what its reservoir has: as many as files are ready or leased by
/// the plugin.
///
/// A leased file's device is the one that its lease names. The ready files have the lowest numbers
/// that are left. So a lease changes no device's identifier, and the same files give the same
/// devices after the plugin's start.
package enum DeviceInventory {
  /// The most devices of a reservoir. Each takes some 40 bytes of the list that the kubelet gets.
  package static let mostDevices = 8192
  /// The same where the service is of a version that names no more leases.
  package static let mostDevicesBeforePages = 256

  /// - Parameters:
  ///   - ready: the number of ready files of each node; nil is memory that is bound to none.
  ///   - leased: the devices that have leases; true where the lease is ending, so that the device
  ///     may be no pod's next.
  ///   - others: how many leases of other resources count towards the limit.
  ///   - most: the limit.
  ///   - canLease: whether the service leases at present.
  package static func devices(
    ready: [UInt32?: Int], leased: [DeviceID: Bool], others: Int = 0, most: Int = mostDevices,
    canLease: Bool
  ) -> [Device] {
    var devices: [DeviceID: Bool] = leased.mapValues { !$0 }
    var room = max(0, most - leased.count - others)
    for (node, count) in ready.sorted(by: { ($0.key ?? 0) < ($1.key ?? 0) }) {
      var left = min(count, room)
      room -= max(0, left)
      var number: UInt32 = 0
      while left > 0 {
        let device = DeviceID(node: node, number: number)
        number += 1
        guard devices[device] == nil else { continue }
        devices[device] = canLease
        left -= 1
      }
    }
    return devices.sorted { $0.key < $1.key }.map { id, isHealthy in
      Device(id: id.text, isHealthy: isHealthy, nodes: id.node.map { [$0] } ?? [])
    }
  }

  /// The devices that a container should get: those that it must have, then those of their nodes,
  /// then those of the node that has the most, so that few nodes are needed.
  package static func preferred(_ request: PreferredAllocationRequest.Container) -> [String] {
    var chosen = request.mustInclude
    let wanted = max(0, Int(request.count))
    var left: [UInt32?: [DeviceID]] = [:]
    for device in Set(request.available).subtracting(chosen).compactMap({ DeviceID($0) }) {
      left[device.node, default: []].append(device)
    }
    let near = Set(chosen.compactMap { DeviceID($0)?.node })
    func isNear(_ node: UInt32?) -> Bool { node.map { near.contains($0) } ?? false }
    let nodes = left.sorted { one, other in
      if isNear(one.key) != isNear(other.key) { return isNear(one.key) }
      if one.value.count != other.value.count { return one.value.count > other.value.count }
      return one.value[0] < other.value[0]
    }
    for (_, devices) in nodes {
      chosen += devices.sorted().prefix(max(0, wanted - chosen.count)).map(\.text)
    }
    return chosen
  }
}
