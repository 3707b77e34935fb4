internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir
internal import Logging
internal import Synchronization
internal import SystemPackage

/// Accepts the connections of users who lease from the service, each of which has a thread to itself
/// for its one request.
///
/// Where another service of the reservoir listens, this one takes over when that service ends. The
/// threads have the priority with which the service was started.
final class LeaseListener: Sendable {
  private let reconciler: Reconciler
  private let server: LeaseServer
  /// Sockets that the service manager has created, which last as long as the process.
  private let inherited: [PacketListener]
  private let wakeup: Wakeup
  private let threads = RequestThreads("holdfast-lease")
  private let cancellation = CancellationToken()
  /// The number of requests of each user that are being served.
  private let requests = Locked([UInt32: Int]())

  /// The number of connections at a time. A user has at most as many as the configuration allows,
  /// so that one user alone does not use them up.
  private static let mostConnections = 256
  /// The interval at which it checks that the socket still has its name.
  private static let interval = Duration.seconds(2)

  init(_ reconciler: Reconciler) throws(Errno) {
    self.reconciler = reconciler
    server = LeaseServer(reconciler.reservoir)
    inherited = InheritedSockets.take().compactMap { try? PacketListener(adopting: $0) }
    wakeup = try Wakeup()
  }

  func stop() {
    cancellation.cancel()
    wakeup.wake()
  }

  func run() {
    var named: Reservoir.NamedListener?
    var sockets = try? PacketListeners(inherited)
    var isFirst = true
    while !cancellation.isCancelled {
      if isNamed, named?.isCurrent != true {
        named = nil
        named = listen(isFirst)
        sockets = try? PacketListeners(inherited + (named.map { [$0.socket] } ?? []))
        isFirst = false
      }
      _ = wakeup.wait(Self.interval, or: sockets?.descriptor ?? -1)
      for socket in sockets?.all ?? [] { accept(socket) }
    }
  }

  /// Whether to listen at a socket with a name: where a group may lease, or the configuration says
  /// so. Members who know the mount look for it there, also where the service manager has created
  /// another.
  private var isNamed: Bool {
    let sockets = reconciler.configuration.sockets
    return sockets.path != nil || sockets.group != nil
      || reconciler.reservoir.group != nil
  }

  private func listen(_ isFirst: Bool) -> Reservoir.NamedListener? {
    let sockets = reconciler.configuration.sockets
    do throws(HoldfastError) {
      let found = try reconciler.reservoir.listenForLeases(
        path: sockets.path, group: sockets.group, permissions: sockets.permissions)
      if found == nil, isFirst {
        reconciler.logger.notice("another service of the reservoir serves other users")
      }
      return found
    } catch {
      reconciler.logger.log(
        level: isFirst ? .warning : .debug, "other users cannot lease: \(error.description)")
      return nil
    }
  }

  private func accept(_ socket: PacketListener) {
    // A user who connects without end must not keep the service from ending.
    while !cancellation.isCancelled {
      let connection: PacketSocket
      do throws(Errno) {
        guard let next = try socket.accept() else { return }
        connection = next
      } catch {
        // No descriptor is left, for example. The connection waits in the queue.
        usleep(10_000)
        return
      }
      guard let user = try? connection.peer() else { continue }
      if let reason = begin(user) {
        LeaseServer.refuse(connection, reason)
        continue
      }
      let limits = reconciler.configuration.limits
      do throws(Errno) {
        try threads.perform { [self] in
          server.serve(
            connection, user: user,
            limits: LeaseLimits(bytes: limits.bytes, files: limits.files),
            cancellation: cancellation
          ) { end(user) }
        }
      } catch {
        end(user)
        LeaseServer.refuse(connection, "the service cannot start a thread (\(error))")
      }
    }
  }

  /// Counts a request; returns why it is refused, or nil.
  private func begin(_ user: UInt32) -> String? {
    let most = reconciler.configuration.limits.requests
    return requests.with { requests in
      let count = requests[user] ?? 0
      if count >= most {
        return "the user has \(count) requests at a time, and the limit of requests is \(most)"
      }
      if requests.values.reduce(0, +) >= Self.mostConnections {
        return "the service has \(Self.mostConnections) requests at a time, which is its limit"
      }
      requests[user] = count + 1
      return nil
    }
  }

  private func end(_ user: UInt32) {
    requests.with { requests in
      let count = (requests[user] ?? 1) - 1
      requests[user] = count > 0 ? count : nil
    }
  }
}

/// The sockets that the service manager has created (sd_listen_fds(3)).
enum InheritedSockets {
  /// Takes the descriptors over, once in a process.
  static func take() -> [Int32] {
    guard let process = Environment.value("LISTEN_PID").flatMap({ Int32($0) }), process == getpid(),
      let count = Environment.value("LISTEN_FDS").flatMap({ Int32($0) }), (1...64).contains(count)
    else { return [] }
    let descriptors = Array(3..<3 + count)
    for descriptor in descriptors { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    return descriptors
  }
}
