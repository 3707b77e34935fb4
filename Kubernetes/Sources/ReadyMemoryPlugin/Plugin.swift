internal import DevicePluginWire
internal import HoldfastCore
internal import HoldfastReservoir
internal import LocalRPC
internal import NIOCore
internal import NIOPosix
internal import PlainHTTP

/// Offers what reservoirs have ready to the kubelet of the node.
///
/// It looks at the reservoirs and the kubelet in rounds, and each round begins with nothing: the
/// reservoirs' leases say what pods may have, the kubelet's list what they have. Between the rounds
/// it answers the kubelet.
package struct Plugin {
  let options: PluginOptions
  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  /// Clients of metrics do not delay the kubelet.
  private let metricsGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  private let kubelet: RPCClient
  private let podResources: RPCClient
  private(set) var reservoirs: [NodeReservoir] = []
  private(set) var offers: [Resource: ResourceOffer] = [:]
  private var log = PluginLog()
  let report = PluginReport()
  let started = ContinuousClock.now
  var comparison: AccountingComparison
  /// The differences that counted in the last round.
  var differences: Set<AccountingDifference> = []
  var kubeletAnswered: ContinuousClock.Instant?
  /// The sockets of the kubelet that runs: others are another kubelet's.
  private var kubeletSockets: [SocketIdentity?] = []
  /// Whether the kubelet has let a registration of this round wait until its time was up. It would
  /// do so with each.
  private var isKubeletSlow = false

  package init(_ options: PluginOptions) {
    self.options = options
    comparison = AccountingComparison(settle: options.settle)
    kubelet = RPCClient(path: options.folder + "/kubelet.sock", group: group)
    podResources = RPCClient(path: options.podResources, group: group)
  }

  /// Serves until the process ends.
  ///
  /// - Throws: where the threads cannot be the plugin's user's, or the port of the metrics is taken.
  package mutating func run() async throws {
    for (index, socket) in options.sockets.enumerated() {
      let metrics = options.serviceMetrics.dropFirst(index).first
      let link = ReservoirLink(
        socket: socket, user: options.user,
        metrics: metrics.map { HTTPTextClient($0, group: metricsGroup) })
      try await link.start()
      reservoirs.append(NodeReservoir(link, grace: options.grace))
    }
    if let address = options.metrics {
      _ = try await HTTPTextServer(address, group: metricsGroup) { [report] in
        report.respond($0)
      }
    }
    while true {
      await round()
      try await Task.sleep(for: options.interval)
    }
  }

  private mutating func round() async {
    notice()
    isKubeletSlow = false
    await read()
    let inUse = await devicesInUse()
    if let inUse {
      for index in reservoirs.indices { await reservoirs[index].collect(inUse, &log) }
    } else {
      for index in reservoirs.indices { reservoirs[index].sightings.forgetPods() }
    }
    for index in reservoirs.indices {
      for resource in reservoirs[index].resources {
        await offer(resource, of: index)
      }
    }
    compare(inUse)
  }

  /// Asks all services at once: one that does not answer delays no other.
  private mutating func read() async {
    let now = ContinuousClock.now
    let pause = max(options.interval, min(.seconds(5), options.settle / 2))
    let questions = reservoirs.map { ($0.link, $0.wantsMetrics(at: now)) }
    let answers = await withTaskGroup(of: (Int, NodeReservoir.Answers).self) { group in
      for (index, (link, metrics)) in questions.enumerated() {
        group.addTask { (index, await NodeReservoir.ask(link, metrics: metrics)) }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    for (index, answers) in answers {
      reservoirs[index].note(answers, pause: pause, &log)
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
      if !offer.isRegistered, kubeletSockets[0] != nil, !isKubeletSlow {
        let request = RegisterRequest(
          endpoint: resource.socketName, resourceName: resource.fullName,
          options: ResourceService.pluginOptions)
        _ = try await kubelet.call("/v1beta1.Registration/Register", request.wire)
        offer.isRegistered = true
        PluginLog.write("\(resource.fullName) is registered")
      }
      log.note(resource.name, nil)
    } catch {
      if (error as? RPCStatus)?.code == .deadlineExceeded { isKubeletSlow = true }
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
