internal import HoldfastCore
internal import HoldfastReservoir

/// The leases of a monitor's memory: all of them or none.
final class RunLeases {
  /// In the order of the requests.
  private(set) var held: [Lease] = []
  private let reservoir: ReservoirAccess
  private let reuse: RecycleOptions

  /// - Parameter reuse: what becomes of the memory at the end.
  init(_ reservoir: ReservoirAccess, reuse: RecycleOptions) {
    self.reservoir = reservoir
    self.reuse = reuse
  }

  /// Leases memory for all requests, or throws and gives back what it had. The time limit of the
  /// first request is that of all together.
  func lease(
    _ requests: [LeaseRequest], cancellation: CancellationToken
  ) throws(HoldfastError) {
    let end = Instant.now + (requests.first?.timeout ?? .zero)
    for request in requests {
      var request = request
      request.timeout = max(.zero, min(request.timeout, end - Instant.now))
      do throws(HoldfastError) {
        held.append(try reservoir.lease(request, cancellation: cancellation))
      } catch {
        self.end()
        throw error
      }
    }
  }

  /// Ends the leases. What fails is a note, as the exit status stays that of the program.
  func end() {
    let ended = held.map { ($0.receipt.name, $0.receipt.size) }
    // From here on only processes that inherited the files can hold the locks.
    held = []
    for (name, size) in ended {
      do throws(HoldfastError) {
        try end(try LeaseName(name), size)
      } catch {
        switch error.code {
        // `gc` has collected it already.
        case .noLease: break
        case .busy:
          Output.note(
            "another process still holds the lease '\(name)'; holdfast reservoir gc collects it "
              + "later")
        default: Output.note(AdviceText.line(error))
        }
      }
    }
  }

  private func end(_ name: LeaseName, _ size: ByteCount) throws(HoldfastError) {
    switch reservoir {
    case .service(let client): _ = try client.release(name)
    case .folders(let reservoir):
      var options = reuse
      options.size = size
      _ = try reservoir.recycle(name, otherwise: .release, options: options)
    }
  }
}
