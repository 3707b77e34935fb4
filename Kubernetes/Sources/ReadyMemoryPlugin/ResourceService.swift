internal import DevicePluginWire
internal import HoldfastCore
internal import HoldfastReservoir
internal import LocalRPC
internal import NIOConcurrencyHelpers

/// The service `v1beta1.DevicePlugin` of a resource.
final class ResourceService: RPCService {
  let resource: Resource
  private let link: ReservoirLink
  private let options: LeaseOptions
  private let state = NIOLockedValueBox(State())

  private struct State {
    var list: [UInt8] = []
    var devices: Set<DeviceID> = []
    var healthy = 0
    var watchers: [ObjectIdentifier: RPCAnswer] = [:]
    var failure: (error: HoldfastError, at: ContinuousClock.Instant)?
    var counts = AllocationCounts()
  }

  /// The most devices of an allocation.
  private static let mostDevices = 64
  /// The folder of the memory in containers.
  private static let folder = "/run/holdfast"
  private static let prefix = "/v1beta1.DevicePlugin/"

  static let pluginOptions = DevicePluginOptions(hasPreferredAllocation: true)

  init(_ resource: Resource, _ link: ReservoirLink, _ options: LeaseOptions) {
    self.resource = resource
    self.link = link
    self.options = options
  }

  /// Sends a list of devices to the kubelet, where it differs from the last one.
  func publish(_ devices: [Device]) {
    let list = DeviceList(devices).wire
    state.withLockedValue { state in
      guard state.list != list else { return }
      state.list = list
      state.devices = Set(devices.compactMap { DeviceID($0.id) })
      state.healthy = devices.count { $0.isHealthy }
      for watcher in state.watchers.values { watcher.send(list) }
    }
  }

  /// The error of the last allocation, where that was the service's, within the last 30 seconds.
  var recentFailure: HoldfastError? {
    state.withLockedValue { state in
      state.failure.flatMap { $0.at.duration(to: .now) < .seconds(30) ? $0.error : nil }
    }
  }

  /// The number of devices, and of those that are healthy.
  var deviceCounts: (all: Int, healthy: Int) {
    state.withLockedValue { ($0.devices.count, $0.healthy) }
  }

  var counts: AllocationCounts { state.withLockedValue { $0.counts } }

  func call(_ method: String, _ message: [UInt8], _ answer: RPCAnswer) {
    do {
      switch method {
      case Self.prefix + "GetDevicePluginOptions":
        _ = try EmptyMessage(wire: message)
        answer.finish(Self.pluginOptions.wire)
      case Self.prefix + "ListAndWatch":
        _ = try EmptyMessage(wire: message)
        watch(answer)
      case Self.prefix + "GetPreferredAllocation":
        let request = try PreferredAllocationRequest(wire: message)
        let chosen = request.containers.map { DeviceIDs(DeviceInventory.preferred($0)) }
        answer.finish(PreferredAllocationResponse(chosen).wire)
      case Self.prefix + "Allocate": try allocate(try AllocateRequest(wire: message), answer)
      case Self.prefix + "PreStartContainer":
        _ = try DeviceIDs(wire: message)
        answer.finish(EmptyMessage().wire)
      default: answer.finish(RPCStatus(.unimplemented, "unknown method"))
      }
    } catch let status as RPCStatus {
      answer.finish(status)
    } catch {
      answer.finish(RPCStatus(.invalidArgument, "the message is malformed: \(error)"))
    }
  }

  private func watch(_ answer: RPCAnswer) {
    let id = ObjectIdentifier(answer)
    answer.whenClosed { [state] in
      state.withLockedValue { _ = $0.watchers.removeValue(forKey: id) }
    }
    state.withLockedValue { state in
      state.watchers[id] = answer
      answer.send(state.list)
    }
  }

  private func allocate(_ request: AllocateRequest, _ answer: RPCAnswer) throws(RPCStatus) {
    let known = state.withLockedValue { $0.devices }
    var devices: [DeviceID] = []
    for text in request.containers.flatMap(\.ids) {
      guard let device = DeviceID(text), known.contains(device) else {
        throw RPCStatus(.invalidArgument, "\(resource.fullName) has no device '\(text.prefix(64))'")
      }
      guard !devices.contains(device), devices.count < Self.mostDevices else {
        throw RPCStatus(
          .invalidArgument, "more than \(Self.mostDevices) devices, or one of them twice")
      }
      devices.append(device)
    }
    link.lease(resource, devices, options: options) { [self] result in
      switch result {
      case .success(let receipts):
        state.withLockedValue {
          $0.failure = nil
          $0.counts.succeeded += 1
        }
        answer.finish(response(request, receipts).wire)
      case .failure(let error):
        // That memory is not ready, or a limit, says nothing about the service.
        let isOfService = ![.noReadyMemory, .busy, .resourceShortage, .cancelled]
          .contains(error.code)
        state.withLockedValue {
          $0.counts.failed += 1
          if isOfService { $0.failure = (error, .now) }
        }
        PluginLog.write("\(resource.name): an allocation failed: \(error)")
        answer.finish(RPCStatus(.unavailable, "\(error)"))
      }
    }
  }

  private func response(
    _ request: AllocateRequest, _ receipts: [LeaseReceipt]
  ) -> AllocateResponse {
    var left = receipts[...]
    return AllocateResponse(
      request.containers.map { container in
        var answer = AllocateResponse.Container()
        for (number, receipt) in left.prefix(container.ids.count).enumerated() {
          add(receipt, number, to: &answer)
        }
        left = left.dropFirst(container.ids.count)
        return answer
      })
  }

  /// Adds a file. It has two paths in the container: `memory-0`, and one with the resource's name,
  /// since the kubelet asks for each resource by itself and drops what two answers have in common.
  private func add(
    _ receipt: LeaseReceipt, _ number: Int, to container: inout AllocateResponse.Container
  ) {
    let path = "\(Self.folder)/memory-\(number)"
    let namedPath = "\(Self.folder)/\(resource.name)-\(number)"
    container.mounts.append(Mount(containerPath: path, hostPath: receipt.path))
    container.mounts.append(Mount(containerPath: namedPath, hostPath: receipt.path))
    container.environment["HOLDFAST_MEMORY_\(number)"] = path
    container.environment["HOLDFAST_SIZE_\(number)"] = "\(receipt.size.rawValue)"
    container.environment["HOLDFAST_PAGE_SIZE_\(number)"] = "\(receipt.pageSize.rawValue)"
    container.environment["HOLDFAST_NODE_\(number)"] =
      receipt.node.map { "\($0.rawValue)" } ?? "-"
    let name = resource.name.uppercased().split(separator: "-").joined(separator: "_")
    container.environment["HOLDFAST_\(name)_\(number)"] = namedPath
  }
}
