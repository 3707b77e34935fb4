internal import HoldfastCore
internal import HoldfastReservoir
internal import Logging
internal import SystemPackage

/// Hears what became of the operations of other processes, and counts them. A thread of its own, as the
/// kernel keeps but a few messages for who is busy elsewhere.
///
/// Where another service of the reservoir listens, this one comes in when that ends.
final class EventListener: Sendable {
  private let keeper: Reconciler
  private let wakeup: Wakeup
  private let cancellation = CancellationToken()
  /// How often it is looked whether the socket is still the reservoir's.
  private static let interval = Duration.seconds(2)

  init(_ keeper: Reconciler) throws(Errno) {
    self.keeper = keeper
    wakeup = try Wakeup()
  }

  func stop() {
    cancellation.cancel()
    wakeup.wake()
  }

  func run() {
    var socket: EventSocket?
    var isFirst = true
    while !cancellation.isCancelled {
      if socket?.isCurrent != true {
        // Nobody else is to lose what was told to the old one.
        drain(socket)
        socket = nil
        socket = listen(isFirst)
        isFirst = false
      }
      _ = wakeup.wait(EventListener.interval, or: socket?.descriptor ?? -1)
      drain(socket)
    }
  }

  private func listen(_ isFirst: Bool) -> EventSocket? {
    do throws(HoldfastError) {
      let socket = try keeper.reservoir.listen()
      keeper.figures.with { $0.isListening = socket != nil }
      if socket == nil, isFirst {
        keeper.logger.notice("another service hears of leases, so they are not counted here")
      }
      return socket
    } catch {
      keeper.figures.with { $0.isListening = false }
      keeper.logger.log(
        level: isFirst ? .warning : .debug, "leases are not counted: \(error.description)")
      return nil
    }
  }

  private func drain(_ socket: EventSocket?) {
    // Whoever sends without end does not keep the service from ending.
    while !cancellation.isCancelled, let message = socket?.next() {
      keeper.figures.with {
        switch message {
        case .event(let event): $0.count(event)
        case .nonsense: $0.nonsense += 1
        }
      }
    }
  }
}
