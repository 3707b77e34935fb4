package import HoldfastCore
package import HoldfastLinux
internal import SystemPackage

/// Answers the requests of users who do not own the reservoir.
///
/// Who asks is what the kernel says (SO_PEERCRED); nothing in a request names a user. A connection
/// is one request and one answer. A lease exists from its rename on, so it is neither lost nor made
/// twice if this process is killed: before the answer it is a lease that the user can see and
/// release, and if it is held, an orphan, as its file is then closed.
package struct LeaseServer: Sendable {
  private let reservoir: Reservoir
  /// Held while a file is taken, for some 100 us. Otherwise the threads would open each other's
  /// files, whose proof then fails.
  private let taking = Lock()

  /// How long a connection may take to send its request.
  private static let requestTimeout = Duration.seconds(1)
  /// The interval at which a lease that waits looks for memory, and whether its client is there.
  private static let interval = Duration.milliseconds(5)

  package init(_ reservoir: Reservoir) { self.reservoir = reservoir }

  /// Reads a connection's request, performs it and answers.
  ///
  /// - Parameters:
  ///   - user: the user who connected.
  ///   - cancellation: ends a request that waits.
  ///   - finished: called once, before the answer, so that the user's next request need not wait for
  ///     the end of this call.
  package func serve(
    _ connection: PacketSocket, user: UInt32, limits: LeaseLimits,
    cancellation: CancellationToken, finished: () -> Void = {}
  ) {
    let answer = answer(to: connection, user, limits, cancellation)
    finished()
    answer?()
  }

  /// Reads a connection's request and performs it.
  ///
  /// - Returns: what sends the answer; nil where the client has gone.
  private func answer(
    to connection: PacketSocket, _ user: UInt32, _ limits: LeaseLimits,
    _ cancellation: CancellationToken
  ) -> (() -> Void)? {
    // Descriptors that come with a request are discarded.
    guard
      case .text(let text, _)? = try? connection.receive(
        timeout: Self.requestTimeout, limit: LeaseMessage.longestRequest, acceptsFile: false)
    else { return nil }
    let packet: String
    do throws(HoldfastError) {
      switch try LeaseCommand(packet: text) {
      case .lease(let request):
        return try lease(request, connection, user, limits, cancellation)
      case .release(let name):
        packet = LeaseAnswer.packet(try reservoir.release(name, forUser: user))
      case .status(let after):
        packet = LeaseAnswer.packet(try reservoir.status(), of: user, after: after)
      }
    } catch {
      packet = LeaseAnswer.packet(error)
    }
    return { Self.send(packet, on: connection) }
  }

  /// Answers that a request is not performed, without waiting for it.
  package static func refuse(_ connection: PacketSocket, _ reason: String) {
    // A client whose request is unread at the end of the connection would get an error
    // (ECONNRESET) before the answer.
    _ = try? connection.receive(
      timeout: .zero, limit: LeaseMessage.longestRequest, acceptsFile: false)
    send(
      LeaseAnswer.packet(
        HoldfastError(.busy, operation: "lease memory", reason: reason, advice: .retry)),
      on: connection)
  }

  private func lease(
    _ request: LeaseRequest, _ connection: PacketSocket, _ user: UInt32, _ limits: LeaseLimits,
    _ cancellation: CancellationToken
  ) throws(HoldfastError) -> (() -> Void)? {
    let start = Instant.now
    var attempt = request
    attempt.timeout = .zero
    while true {
      do throws(HoldfastError) {
        let lease = try take(attempt, user, limits, cancellation)
        var receipt = lease.receipt
        receipt.waitedSeconds += max(
          0, (Instant.now - start).seconds - receipt.seconds - receipt.waitedSeconds)
        return { [receipt] in give(lease, receipt, connection, user) }
      } catch {
        guard error.code == .noReadyMemory, !cancellation.isCancelled,
          Instant.now - start < request.timeout
        else { throw error }
      }
      // Readable means that the client has closed the connection, or sent what no request allows.
      if (try? connection.wait(Self.interval)) != false { return nil }
    }
  }

  private func take(
    _ request: LeaseRequest, _ user: UInt32, _ limits: LeaseLimits,
    _ cancellation: CancellationToken
  ) throws(HoldfastError) -> Lease {
    func lease() throws(HoldfastError) -> Lease {
      try reservoir.lease(request, forUser: user, limits: limits, cancellation: cancellation)
    }
    // To populate memory takes seconds.
    if request.grows { return try lease() }
    taking.lock()
    defer { taking.unlock() }
    return try lease()
  }

  /// Sends a lease, or releases it where that fails.
  private func give(
    _ lease: Lease, _ receipt: LeaseReceipt, _ connection: PacketSocket, _ user: UInt32
  ) {
    guard let file = lease.takeFile() else { return }
    do throws(Errno) {
      try connection.send(LeaseAnswer.packet(receipt), file: file)
    } catch {
      // Its lock would keep a held lease.
      file.unlock()
      guard let name = try? LeaseName(receipt.name) else { return }
      _ = try? reservoir.release(name, user: user)
    }
  }

  private static func send(_ text: String, on connection: PacketSocket) {
    // A client that has gone gets no answer.
    try? connection.send(text)
  }
}
