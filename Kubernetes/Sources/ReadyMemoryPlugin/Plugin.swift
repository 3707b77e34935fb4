internal import DevicePluginWire
internal import HoldfastCore
internal import HoldfastReservoir
internal import LocalRPC
internal import NIOCore
internal import NIOPosix

/// Offers what reservoirs have ready to the kubelet of the node.
///
/// It looks at the reservoirs and the kubelet in rounds, and each round begins with nothing: the
/// reservoirs' leases say what pods may have, the kubelet's list what they have. Between the rounds
/// it answers the kubelet.
package struct Plugin {
  private let options: PluginOptions
  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  private let kubelet: RPCClient
  private let podResources: RPCClient
  private var reservoirs: [NodeReservoir] = []
  private var offers: [Resource: ResourceOffer] = [:]
  private var log = PluginLog()
  /// The sockets of the kubelet that runs: others are another kubelet's.
  private var kubeletSockets: [SocketIdentity?] = []

  package init(_ options: PluginOptions) {
    self.options = options
    kubelet = RPCClient(path: options.folder + "/kubelet.sock", group: group)
    podResources = RPCClient(path: options.podResources, group: group)
  }

  /// Serves until the process ends.
  ///
  /// - Throws: where the threads cannot be the plugin's user's.
  package mutating func run() async throws {
    for socket in options.sockets {
      let link = ReservoirLink(socket: socket, user: options.user)
      try await link.start()
      reservoirs.append(NodeReservoir(link, grace: options.grace))
    }
    while true {
      await round()
      try await Task.sleep(for: options.interval)
    }
  }

  private mutating func round() async {
    notice()
    for index in reservoirs.indices { await reservoirs[index].read(&log) }
    if let inUse = await devicesInUse() {
      for index in reservoirs.indices { await reservoirs[index].collect(inUse, &log) }
    } else {
      for index in reservoirs.indices { reservoirs[index].sightings.forgetPods() }
    }
    for index in reservoirs.indices {
      for resource in reservoirs[index].resources {
        await offer(resource, of: index)
      }
    }
  }

  /// Notices a kubelet that has started again.
  private mutating func notice() {
    let sockets = currentSockets
    guard sockets != kubeletSockets else { return }
    kubeletSockets = sockets
    for index in reservoirs.indices { reservoirs[index].sightings.forgetPods() }
    for resource in offers.keys { offers[resource]?.isRegistered = false }
  }

  private var currentSockets: [SocketIdentity?] {
    [options.folder + "/kubelet.sock", options.podResources].map { SocketIdentity(path: $0) }
  }

  /// The devices that pods have; nil where the kubelet does not say.
  private mutating func devicesInUse() async -> PodResources? {
    do {
      let answer = try await podResources.call(
        "/v1.PodResourcesLister/List", EmptyMessage().wire)
      let list = try PodResources(wire: answer)
      // A list of a kubelet that has started meanwhile may lack pods that run.
      guard currentSockets == kubeletSockets else { return nil }
      log.note("pods", nil)
      return list
    } catch {
      log.note("pods", "the kubelet does not list the devices in use, so no lease ends: \(error)")
      return nil
    }
  }

  /// Publishes a resource's devices, and sees to its socket and registration.
  private mutating func offer(_ resource: Resource, of index: Int) async {
    if offers[resource] == nil {
      offers[resource] = ResourceOffer(
        ResourceService(resource, reservoirs[index].link, options.lease), reservoir: index,
        path: options.folder + "/" + resource.socketName)
    }
    guard var offer = offers[resource] else { return }
    guard offer.reservoir == index else {
      log.note(
        resource.name,
        "\(reservoirs[index].link.socketPath): another reservoir has "
          + "\(resource.fullName) already")
      return
    }
    offer.service.publish(
      reservoirs[index].devices(of: resource, failure: offer.service.recentFailure))
    do {
      try await offer.listen(group)
      if !offer.isRegistered, kubeletSockets[0] != nil {
        let request = RegisterRequest(
          endpoint: resource.socketName, resourceName: resource.fullName,
          options: ResourceService.pluginOptions)
        _ = try await kubelet.call("/v1beta1.Registration/Register", request.wire)
        offer.isRegistered = true
        PluginLog.write("\(resource.fullName) is registered")
      }
      log.note(resource.name, nil)
    } catch {
      log.note(resource.name, "\(resource.fullName) cannot be offered: \(error)")
    }
    offers[resource] = offer
  }
}

/// A resource's socket.
struct ResourceOffer {
  let service: ResourceService
  /// The place of its reservoir.
  let reservoir: Int
  var isRegistered = false
  private let path: String
  private var server: RPCServer?
  private var identity: SocketIdentity?

  init(_ service: ResourceService, reservoir: Int, path: String) {
    self.service = service
    self.reservoir = reservoir
    self.path = path
  }

  /// Creates the socket where the path is not its: a kubelet that starts removes it.
  mutating func listen(_ group: any EventLoopGroup) async throws {
    guard server == nil || identity == nil || SocketIdentity(path: path) != identity else { return }
    await server?.close()
    server = nil
    isRegistered = false
    server = try await RPCServer(path: path, service: service, group: group)
    identity = SocketIdentity(path: path)
  }
}
