internal import Glibc
internal import HoldfastCore
internal import HoldfastReservoir
internal import NIOCore
internal import NIOPosix
internal import PlainHTTP

/// The service of a reservoir, as the plugin's user. The calls wait for the service, so each kind
/// has a thread of its own: a release may take 250 ms, and no pod waits for it.
final class ReservoirLink: Sendable {
  /// The path of the service's socket.
  let socketPath: String

  /// For leases, and for all else: a service that does not answer is noticed at once, but a lease
  /// may wait for the disk or the processor.
  private let leaseClient: ReservoirClient
  private let client: ReservoirClient
  private let metrics: HTTPTextClient?
  private let user: ThreadUser?
  private let leasing = NIOThreadPool(numberOfThreads: 1)
  private let collecting = NIOThreadPool(numberOfThreads: 1)

  /// How long the service may take for its status or a release, and for a lease.
  static let timeout = Duration.seconds(2)
  private static let leaseTimeout = Duration.seconds(5)

  init(socket: String, user: ThreadUser?, metrics: HTTPTextClient?) {
    socketPath = socket
    leaseClient = ReservoirClient(socket: socket, timeout: Self.leaseTimeout)
    client = ReservoirClient(socket: socket, timeout: Self.timeout)
    self.metrics = metrics
    self.user = user
  }

  /// Starts the threads.
  ///
  /// - Throws: ``HoldfastError`` with the code `notPermitted` where they cannot be the user's.
  func start() async throws {
    for pool in [leasing, collecting] {
      pool.start()
      let problem = try await pool.runIfActive { [user] in user?.apply() }
      if let problem {
        throw HoldfastError(
          .notPermitted, operation: "start the plugin", reason: problem,
          advice: .other("the capabilities SETUID and SETGID"))
      }
    }
  }

  /// What the reservoir has.
  func status() async -> Result<ReservoirStatus, HoldfastError> {
    await run { () throws(HoldfastError) in try self.client.status() }
  }

  /// The service's own metrics; nil where the plugin does not read them.
  func serviceMetrics() async -> Result<ServiceMetrics, HTTPTextClient.Failure>? {
    guard let metrics else { return nil }
    do throws(HTTPTextClient.Failure) {
      let answer = try await metrics.get("/metrics", timeout: .seconds(1))
      guard answer.status == 200, let read = ServiceMetrics(answer.text) else {
        throw HTTPTextClient.Failure(
          description: "the answer \(answer.status) has no metrics of a service")
      }
      return .success(read)
    } catch {
      return .failure(error)
    }
  }

  var hasMetrics: Bool { metrics != nil }

  /// Ends a lease, unless a process has its file open: then the error has the code `busy`.
  func release(_ tag: LeaseTag) async -> Result<Void, HoldfastError> {
    await run { () throws(HoldfastError) in
      _ = try self.client.release(try LeaseName(tag.text))
    }
  }

  private func run<Value: Sendable>(
    _ body: @escaping @Sendable () throws(HoldfastError) -> Value
  ) async -> Result<Value, HoldfastError> {
    do {
      return try await collecting.runIfActive {
        do throws(HoldfastError) { return .success(try body()) } catch { return .failure(error) }
      }
    } catch {
      return .failure(
        HoldfastError(.cancelled, operation: "ask the service", reason: "the plugin ends"))
    }
  }

  /// Leases a file for each device, or none.
  ///
  /// - Parameter finished: called once, from another thread.
  func lease(
    _ resource: Resource, _ devices: [DeviceID], options: LeaseOptions,
    finished: @escaping @Sendable (Result<[LeaseReceipt], HoldfastError>) -> Void
  ) {
    leasing.submit { _ in
      var receipts: [LeaseReceipt] = []
      do throws(HoldfastError) {
        for device in devices {
          receipts.append(try self.lease(resource, device, options))
        }
        finished(.success(receipts))
      } catch {
        // The pod does not start, so no process can have opened them.
        for receipt in receipts { self.undo(receipt.name) }
        finished(.failure(error))
      }
    }
  }

  private func lease(
    _ resource: Resource, _ device: DeviceID, _ options: LeaseOptions
  ) throws(HoldfastError) -> LeaseReceipt {
    var tag = LeaseTag(
      resource: resource.name, device: device, generation: microsecondsSinceBoot())
    while true {
      var request = LeaseRequest(size: ByteCount(resource.size), name: try LeaseName(tag.text))
      request.node = device.node.map { NodeID($0) }
      request.isExact = true
      request.timeout = options.wait
      do throws(HoldfastError) {
        let (receipt, problem) = try lease(request, resource, options)
        guard let problem else { return receipt }
        undo(receipt.name)
        throw problem
      } catch {
        // Two leases of a device in the same microsecond.
        guard error.code == .alreadyExists else { throw error }
        tag.generation += 1
      }
    }
  }

  /// Leases a file.
  ///
  /// - Returns: the lease's receipt, and why it cannot be a pod's; nil where it can. The file is
  ///   closed then: the service releases none that is open.
  private func lease(
    _ request: LeaseRequest, _ resource: Resource, _ options: LeaseOptions
  ) throws(HoldfastError) -> (LeaseReceipt, problem: HoldfastError?) {
    let lease = try leaseClient.lease(request)
    return withExtendedLifetime(lease) { (lease.receipt, problem(lease, resource, options)) }
  }

  /// Checks a lease, and lets the pod's users open its file: the plugin does not know which users
  /// these are. Only the pod and root have a path to it.
  private func problem(
    _ lease: Lease, _ resource: Resource, _ options: LeaseOptions
  ) -> HoldfastError? {
    let receipt = lease.receipt
    guard receipt.pageSize.rawValue == resource.pageSize, receipt.path.hasPrefix("/") else {
      return HoldfastError(
        .untrusted, operation: "lease \(resource.name)",
        reason: "the service sent pages of \(receipt.pageSize) at '\(receipt.path)'")
    }
    guard fchmod(lease.descriptor, options.mode) == 0 else {
      return HoldfastError(
        .host, operation: "lease \(resource.name)", reason: "the file's mode cannot be changed",
        errno: errno)
    }
    return nil
  }

  private func undo(_ name: String) {
    guard let name = try? LeaseName(name) else { return }
    _ = try? client.release(name)
  }
}

/// How the plugin leases.
package struct LeaseOptions: Hashable, Sendable {
  /// How long an allocation waits for memory to become ready.
  package var wait: Duration
  /// The mode of the leased files.
  package var mode: UInt32

  package init(wait: Duration, mode: UInt32) {
    self.wait = wait
    self.mode = mode
  }
}
