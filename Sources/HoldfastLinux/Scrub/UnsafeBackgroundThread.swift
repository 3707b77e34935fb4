internal import CHoldfastLinux
internal import Glibc
package import SystemPackage

/// A thread of the library's own, with all signals blocked, which its owner waits for.
package final class BackgroundThread: Sendable {
  private let thread: pthread_t

  private final class Work: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(_ name: String, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  /// Starts it. The corresponding C function is `pthread_create`.
  ///
  /// - Parameter name: of at most 15 bytes, for those who look at the process's threads.
  package init(_ name: String, _ body: @escaping @Sendable () -> Void) throws(Errno) {
    // SAFETY: the box is retained for the thread, which takes that reference over.
    let box = unsafe Unmanaged.passRetained(Work(name, body))
    var every = sigset_t()
    var before = sigset_t()
    unsafe sigfillset(&every)
    // The program's own threads are to get its signals.
    unsafe pthread_sigmask(SIG_SETMASK, &every, &before)
    var made = pthread_t()
    let status = unsafe pthread_create(&made, nil, BackgroundThread.start, box.toOpaque())
    unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
    if status != 0 {
      unsafe box.release()
      throw Errno(rawValue: status)
    }
    thread = made
  }

  /// Returns when the thread has ended. Called once, by another thread.
  package func join() {
    _ = pthread_join(thread, nil)
  }

  /// Whether the caller is the thread itself, which cannot wait for its own end.
  var isCurrent: Bool { pthread_equal(thread, pthread_self()) != 0 }

  /// Lets the thread end without anybody waiting for it, in place of `join`.
  package func detach() {
    _ = pthread_detach(thread)
  }

  private static let start: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? =
    {
      // SAFETY: the argument is the box that `init` retained for this thread.
      guard let argument = unsafe $0 else { return nil }
      let work = unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue()
      _ = unsafe hf_thread_set_name(work.name)
      work.body()
      return nil
    }
}
