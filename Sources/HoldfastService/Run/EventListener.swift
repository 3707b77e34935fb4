internal import HoldfastCore
internal import HoldfastReservoir
internal import Logging
internal import SystemPackage

/// Receives the events of operations in other processes, and counts them. It has a thread of its
/// own, since the kernel queues only a few messages.
///
/// Where another service of the reservoir listens, this one takes over when that service ends.
final class EventListener: Sendable {
  private let reconciler: Reconciler
  private let wakeup: Wakeup
  private let cancellation = CancellationToken()
  /// The interval at which it checks that the socket still has its name.
  private static let interval = Duration.seconds(2)

  init(_ reconciler: Reconciler) throws(Errno) {
    self.reconciler = reconciler
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
        // Messages to the old socket are counted before it goes.
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
      let socket = try reconciler.reservoir.listen()
      reconciler.metrics.with { $0.isListening = socket != nil }
      if socket == nil, isFirst {
        reconciler.logger.notice(
          "another service receives the events of other processes, so they are not counted here")
      }
      return socket
    } catch {
      reconciler.metrics.with { $0.isListening = false }
      reconciler.logger.log(
        level: isFirst ? .warning : .debug,
        "events of other processes are not counted: \(error.description)")
      return nil
    }
  }

  private func drain(_ socket: EventSocket?) {
    // A process that sends without end must not keep the service from ending.
    while !cancellation.isCancelled, let message = socket?.next() {
      reconciler.metrics.with {
        switch message {
        case .event(let event): $0.count(event)
        case .invalid: $0.invalidMessages += 1
        }
      }
    }
  }
}
