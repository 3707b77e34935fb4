internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// Threads that perform one piece of work after the other, as many as there is work at a time.
///
/// A thread without work waits a while for the next piece. On a host whose processors are busy the
/// kernel lets a new thread wait for some milliseconds, but runs one at once that it wakes.
final class RequestThreads: Sendable {
  /// The threads without work that are kept.
  private static let mostIdle = 4
  /// How long a thread is kept without work.
  private static let idleTime = Duration.seconds(10)

  private final class Worker: Sendable {
    let wakeup: Wakeup
    /// The next piece; set when the worker is taken from the idle ones.
    let next = Locked<(@Sendable () -> Void)?>(nil)
    init() throws(Errno) { wakeup = try Wakeup() }

    /// Performs the next piece. It is released afterwards, and with it the connection, which must
    /// not stay open while the worker waits.
    func perform() {
      let work = next.with { next in
        defer { next = nil }
        return next
      }
      work?()
    }
  }

  /// The workers that wait, those that have waited for the shortest time last.
  private let idle = Locked([Worker]())
  private let name: String

  /// Creates an empty pool.
  ///
  /// - Parameter name: the name of each thread.
  init(_ name: String) { self.name = name }

  /// Performs work on a thread.
  ///
  /// - Throws: the error where a thread or a descriptor is lacking; then nothing is performed.
  func perform(_ work: @escaping @Sendable () -> Void) throws(Errno) {
    if let worker = idle.with({ $0.popLast() }) {
      worker.next.with { $0 = work }
      worker.wakeup.wake()
      return
    }
    let worker = try Worker()
    worker.next.with { $0 = work }
    try BackgroundThread(name) { [self] in
      repeat { worker.perform() } while wait(worker)
    }.detach()
  }

  /// Waits for the next piece of work; false where none came.
  private func wait(_ worker: Worker) -> Bool {
    let isKept = idle.with { idle in
      if idle.count < Self.mostIdle { idle.append(worker) }
      return idle.last === worker
    }
    guard isKept else { return false }
    let end = Instant.now + Self.idleTime
    while true {
      if worker.next.with({ $0 != nil }) { return true }
      let left = end - Instant.now
      if left <= .zero {
        let isLeaving = idle.with { idle in
          let count = idle.count
          idle.removeAll { $0 === worker }
          return idle.count < count
        }
        // Otherwise it was taken, and the work comes at once.
        if isLeaving { return false }
      }
      _ = worker.wakeup.wait(max(left, .milliseconds(1)))
    }
  }
}
