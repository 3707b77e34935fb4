internal import Glibc

/// Threads that live for one piece of work, so that changes to a thread, such as its affinity, end
/// with it. Threads of Dispatch are reused for other work, and new ones inherit from them.
enum Threads {
  private final class Work: Sendable {
    let body: @Sendable (Int) -> Void
    let number: Int

    init(_ number: Int, _ body: @escaping @Sendable (Int) -> Void) {
      self.number = number
      self.body = body
    }
  }

  /// Calls `body` with each number below `count`, each on a new thread, and waits for all. Where
  /// the host allows no further thread, the remaining numbers are left out. The corresponding C
  /// function is `pthread_create`.
  ///
  /// - Returns: the number of threads that ran.
  static func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) -> Int {
    var threads: [pthread_t] = []
    for number in 0..<count {
      var thread = pthread_t()
      // SAFETY: the work is retained for the thread, which releases it once; the thread is joined
      // before the call returns.
      let work = unsafe Unmanaged.passRetained(Work(number, body))
      let status = unsafe pthread_create(
        &thread, nil,
        { argument in
          let work = unsafe Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue()
          work.body(work.number)
          return nil
        }, work.toOpaque())
      guard status == 0 else {
        unsafe work.release()
        break
      }
      threads.append(thread)
    }
    for thread in threads { _ = pthread_join(thread, nil) }
    return threads.count
  }
}
