internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// The reservoir for users who do not own it: they lease from its service, by a socket.
///
/// Each call is a connection of its own. The file of a lease belongs to the user, in a folder that
/// only the reservoir's owner may change, and the service hands it over open (SCM_RIGHTS). The
/// service may end and start again meanwhile; leases do not depend on it.
///
/// Safe to use from any thread.
public final class ReservoirClient: Sendable {
  /// The path of the socket.
  public let socketPath: String
  /// The ID of the reservoir's owner, where the mount states it; otherwise root.
  private let owner: UInt32
  /// How long the service may take in addition to the wait that a request asks for.
  private let patience: Duration

  /// The socket's name in the reservoir's folder.
  static let socketName = "socket"

  /// The path of the socket that systemd creates for the service of a host's only reservoir.
  public static let defaultSocketPath = "/run/holdfast/reservoir.sock"

  /// Finds the socket in a reservoir's folder.
  ///
  /// - Parameter mount: the mount point of the file system with the reservoir.
  /// - Throws: ``HoldfastError`` with the code `noReservoir` where the mount has none, `untrusted`
  ///   where another user than root and the caller may have created or changed it.
  public init(mount: String) throws(HoldfastError) {
    let operation = "find the service of the reservoir in \(mount)"
    let place = try during(operation, "the folder does not open") { () throws(Errno) in
      let folder = try Folder.open(path: mount)
      return (mount: try folder.status(), reservoir: try? folder.status(Reservoir.folderName))
    }
    guard let reservoir = place.reservoir, reservoir.isFolder else {
      throw HoldfastError(
        .noReservoir, operation: operation,
        reason: "it has no folder '\(Reservoir.folderName)'",
        advice: .createReservoir(mount: mount))
    }
    if let problem = FolderTrust.problem(mount: place.mount, ownedBy: reservoir.owner)
      ?? FolderTrust.problem(above: mount)
    {
      throw HoldfastError(
        .untrusted, operation: operation, reason: problem,
        advice: .other("a mount that only root may write to"))
    }
    socketPath = Reservoir.path(mount: mount) + "/" + Self.socketName
    owner = reservoir.owner
    patience = Self.defaultPatience
  }

  /// Uses the socket with a path, whose service must be root's or the caller's own.
  ///
  /// - Parameter timeout: how long the service may take for a call, in addition to the wait that a
  ///   request asks for.
  public init(socket path: String, timeout: Duration = .seconds(30)) {
    socketPath = path
    owner = 0
    patience = timeout
  }

  /// Leases memory, as ``Reservoir/lease(_:cancellation:)`` does for the reservoir's owner.
  ///
  /// - Parameters:
  ///   - request: the memory to lease; the service chooses the number of threads.
  ///   - cancellation: ends the call while it waits for memory or for the service.
  /// - Throws: ``HoldfastError`` with the code `noReadyMemory`, `alreadyExists`, `invalidArgument`,
  ///   `resourceShortage` where a limit for the user is reached, `busy` where no service listens or
  ///   answers, `notPermitted` where this user may not use the socket, `untrusted`, `cancelled` or
  ///   `host`.
  /// - Complexity: two packets, and what the service does.
  public func lease(
    _ request: LeaseRequest, cancellation: CancellationToken = CancellationToken()
  ) throws(HoldfastError) -> Lease {
    let operation = "lease \(request.size)"
    let (message, file) = try ask(
      .lease(request), "lease", operation, timeout: request.timeout, cancellation)
    let receipt = try LeaseAnswer.receipt(message)
    guard let file, let status = try? file.status(), status.isRegular,
      status.size == request.size, receipt.size == request.size,
      (try? LeaseName(receipt.name)) != nil
    else {
      throw HoldfastError(
        .untrusted, operation: operation, reason: "the service sent no file of that size")
    }
    return Lease(receipt, file, .client(self))
  }

  /// Returns a lease's memory to the host.
  ///
  /// - Returns: the size of the memory, as ``LeaseEnd/released(_:reason:)``.
  /// - Throws: ``HoldfastError`` with the code `noLease`; `busy` for a held lease whose lock a
  ///   process has, or where no service listens; `notPermitted`, `untrusted` or `host`.
  public func release(_ name: LeaseName) throws(HoldfastError) -> LeaseEnd {
    let (message, _) = try ask(.release(name), "release", "release '\(name)'")
    guard let size = message.number("BYTES") else { throw LeaseAnswer.invalid }
    return .released(ByteCount(size), reason: message["REASON"])
  }

  /// Counts the ready files and the calling user's leases.
  ///
  /// The leases come in pages. Where the numbers of files of two pages differ, because leases were
  /// made or ended meanwhile, all are read again, at most three times. A lease that lasts from the
  /// first to the last page is in the result; one that was made or ended meanwhile may be in it. The
  /// numbers of files are those of the first page.
  ///
  /// - Throws: ``HoldfastError`` with the code `busy` where no service listens; `notPermitted`,
  ///   `untrusted` or `host`.
  /// - Complexity: a page for each 500 to 900 leases.
  public func status() throws(HoldfastError) -> ReservoirStatus {
    for _ in 0..<3 {
      let (status, isSteady) = try readPages()
      if isSteady { return status }
    }
    return try readPages().status
  }

  /// - Returns: whether all pages have the same numbers of files too.
  private func readPages() throws(HoldfastError) -> (status: ReservoirStatus, isSteady: Bool) {
    let operation = "read the status of the reservoir"
    var result: ReservoirStatus?
    var isSteady = true
    var last = ""
    while true {
      let (message, _) = try ask(.status(after: last), "status", operation)
      let page = try LeaseAnswer.status(message, user: geteuid())
      if let first = result {
        isSteady = isSteady && page.rows == first.rows
        result?.leases += page.leases
      } else {
        result = page
      }
      guard message.number("MORE") == 1, let status = result else {
        return (result ?? page, isSteady)
      }
      // A service without pages repeats the first leases, and does not say that there are more.
      guard let next = page.leases.last?.name, next > last,
        status.leases.count < Reservoir.mostNames
      else { throw LeaseAnswer.invalid }
      last = next
    }
  }

  private static let defaultPatience = Duration.seconds(30)
  /// The interval at which a waiting call looks at its token.
  private static let step = Duration.milliseconds(20)

  private func ask(
    _ command: LeaseCommand, _ result: String, _ operation: String, timeout: Duration = .zero,
    _ cancellation: CancellationToken = CancellationToken()
  ) throws(HoldfastError) -> (LeaseMessage, OpenFile?) {
    let end = Instant.now + timeout.bounded + patience.bounded
    func checkTime() throws(HoldfastError) {
      if cancellation.isCancelled {
        throw HoldfastError(
          .cancelled, operation: operation, reason: "the caller cancelled it")
      }
      guard Instant.now < end else {
        throw HoldfastError(
          .busy, operation: operation, reason: "the service at \(socketPath) does not answer",
          advice: .retry)
      }
    }
    let socket = try connect(operation, checkTime)
    let peer = try reaching(operation) { () throws(Errno) in try socket.peer() }
    guard peer == 0 || peer == owner || peer == geteuid() else {
      throw HoldfastError(
        .untrusted, operation: operation,
        reason: "user \(peer) listens at \(socketPath), not user \(owner)",
        advice: .inspectAndRemove(path: socketPath))
    }
    try reaching(operation) { () throws(Errno) in
      do throws(Errno) {
        try socket.send(command.packet)
      } catch {
        // A service that refuses the user says so without waiting for the request.
        guard error == .brokenPipe else { throw error }
      }
    }
    while true {
      try checkTime()
      let packet = try reaching(operation) { () throws(Errno) in
        try socket.receive(timeout: Self.step, acceptsFile: true)
      }
      switch packet {
      case .text(let text, let file):
        do throws(HoldfastError) {
          return (try LeaseAnswer.message(text, result), file)
        } catch {
          // The operation as the caller knows it.
          throw HoldfastError(
            error.code, operation: operation, reason: error.reason, errno: error.errno,
            advice: error.advice)
        }
      case .end:
        throw HoldfastError(
          .busy, operation: operation,
          reason: "the service at \(socketPath) closed the connection", advice: .retry)
      case nil: break
      }
    }
  }

  private func connect(
    _ operation: String, _ checkTime: () throws(HoldfastError) -> Void
  ) throws(HoldfastError) -> PacketSocket {
    while true {
      let socket = try reaching(operation) { () throws(Errno) -> PacketSocket? in
        do throws(Errno) {
          return try PacketSocket(path: socketPath)
        } catch {
          // Too many processes are connecting.
          guard error == .wouldBlock else { throw error }
          return nil
        }
      }
      if let socket { return socket }
      try checkTime()
      usleep(2000)
    }
  }

  /// Calls `body`, and says what an error of the socket means.
  private func reaching<Value>(
    _ operation: String, _ body: () throws(Errno) -> Value
  ) throws(HoldfastError) -> Value {
    do throws(Errno) {
      return try body()
    } catch {
      throw failure(error, operation)
    }
  }

  private func failure(_ error: Errno, _ operation: String) -> HoldfastError {
    switch error {
    case .noSuchFileOrDirectory, .connectionRefused:
      HoldfastError(
        .busy, operation: operation,
        reason: "no service of the reservoir listens at \(socketPath), and only user \(owner) and "
          + "root lease without it",
        advice: .useService)
    case .permissionDenied:
      HoldfastError(
        .notPermitted, operation: operation, reason: "this user may not use \(socketPath)",
        errno: error.rawValue, advice: .joinGroup)
    case .notSocket, .tooManySymbolicLinkLevels:
      HoldfastError(
        .untrusted, operation: operation, reason: "\(socketPath) is not a socket",
        advice: .inspectAndRemove(path: socketPath))
    default:
      HoldfastError(
        errno: error, operation: operation, reason: "cannot reach the service at \(socketPath)")
    }
  }
}
